package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"gatehouse/fault"
	"gatehouse/seal"
)

// fields are the members of a request's JSON object, by exact name.
type fields map[string]any

// maxDepth is how deep a request's JSON may nest. Ours is flat; the rest is for
// members we do not know and ignore.
const maxDepth = 8

var errJSON = errors.New("web: not the JSON object that is expected")

// parseFields reads one JSON object (RFC 8259). Members we do not know are
// ignored, so that clients may be newer than we are. What two readers could read
// differently is refused: a name twice, text after the end, broken UTF-8, half a
// surrogate pair. No error quotes what was sent.
func parseFields(raw []byte) (fields, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) || loneSurrogate(raw) {
		return nil, fault.New(fault.BadRequest, errJSON)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fault.New(fault.BadRequest, errJSON)
	}
	f, err := members(d, 1)
	if err != nil {
		return nil, fault.New(fault.BadRequest, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.New(fault.BadRequest, errJSON)
	}
	return f, nil
}

// members reads the rest of an object whose brace is read.
func members(d *json.Decoder, depth int) (fields, error) {
	f := fields{}
	for {
		t, err := d.Token()
		if err != nil {
			return nil, errJSON
		}
		name, ok := t.(string)
		if !ok {
			return f, nil // the closing brace
		}
		if _, twice := f[name]; twice {
			return nil, errors.New("web: a JSON name twice in one object")
		}
		if f[name], err = value(d, depth); err != nil {
			return nil, err
		}
	}
}

// elements reads the rest of an array whose bracket is read. Nobody asks for
// them, but they are held to the same rules.
func elements(d *json.Decoder, depth int) error {
	for d.More() {
		if _, err := value(d, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// value reads one value; objects and arrays come back as something that is
// neither text nor flag.
func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, errJSON
	}
	open, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxDepth {
		return nil, errors.New("web: JSON nests too deep")
	}
	if open == '{' {
		inner, err := members(d, depth+1)
		return inner, err
	}
	return struct{}{}, elements(d, depth+1)
}

// loneSurrogate finds a \uD800–\uDFFF escape without its partner: encoding/json
// would make U+FFFD of it, and two different passwords would become one.
func loneSurrogate(raw []byte) bool {
	pending := false // a high half waits for its low half
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			if pending {
				return true
			}
			continue
		}
		unit, ok := escapedUnit(raw[i:])
		low, high := unit>>10 == 0xDC00>>10, unit>>10 == 0xD800>>10
		if pending != (ok && low) {
			return true
		}
		pending = ok && high
		if ok {
			i += 5
		} else {
			i++
		}
	}
	return pending
}

// escapedUnit reads \uXXXX; ok is false for the short escapes.
func escapedUnit(b []byte) (unit uint32, ok bool) {
	if len(b) < 6 || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		unit = unit<<4 | uint32(hexDigit(c))
	}
	return unit, true
}

func hexDigit(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// reader collects fields of the right type and remembers the first that was not.
type reader struct {
	fields fields
	err    error
}

// text is a string member; a missing one is empty.
func (r *reader) text(name string) string {
	v, there := r.fields[name]
	s, ok := v.(string)
	if there && !ok {
		r.err = fault.New(fault.BadRequest, errors.New("web: "+name+" is not a string"))
	}
	return s
}

func (r *reader) secret(name string) seal.Secret { return seal.Secret(r.text(name)) }

// flag is a boolean member; a missing one is false.
func (r *reader) flag(name string) bool {
	v, there := r.fields[name]
	b, ok := v.(bool)
	if there && !ok {
		r.err = fault.New(fault.BadRequest, errors.New("web: "+name+" is not true or false"))
	}
	return b
}
