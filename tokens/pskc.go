package tokens

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is read of a PSKC file (RFC 6030 §4). Elements are known by their local
// names: makers disagree on prefixes and old drafts on namespaces. What is not
// listed here is passed over, but for policies (see policy).

type pskcPackage struct {
	Device struct {
		Manufacturer string `xml:"Manufacturer"`
		Serial       string `xml:"SerialNo"`
	} `xml:"DeviceInfo"`
	Keys []pskcKey `xml:"Key"`
}

type pskcKey struct {
	Algorithm  string `xml:"Algorithm,attr"`
	Parameters struct {
		Suite    string `xml:"Suite"`
		Response struct {
			Length   string `xml:"Length,attr"`
			Encoding string `xml:"Encoding,attr"`
		} `xml:"ResponseFormat"`
	} `xml:"AlgorithmParameters"`
	Data struct {
		Secret   pskcValue `xml:"Secret"`
		Counter  pskcValue `xml:"Counter"`
		Interval pskcValue `xml:"TimeInterval"`
	} `xml:"Data"`
	Policy *pskcPolicy `xml:"Policy"`
}

type pskcValue struct {
	Plain     *string        `xml:"PlainValue"`
	Encrypted *pskcEncrypted `xml:"EncryptedValue"`
	MAC       string         `xml:"ValueMAC"`
}

type pskcEncrypted struct {
	Method struct {
		Algorithm string `xml:"Algorithm,attr"`
	} `xml:"EncryptionMethod"`
	Cipher string `xml:"CipherData>CipherValue"`
}

type pskcPolicy struct {
	Parts []struct {
		XMLName xml.Name
		Text    string `xml:",chardata"`
		PINMode string `xml:"PINUsageMode,attr"`
	} `xml:",any"`
}

// maxPackage bounds what is read for one package, and for what stands before the
// first: a token needs one or two kilobytes.
const maxPackage = 128 << 10

type pskcReader struct {
	x       *xml.Decoder
	bound   *boundedReader
	key     Key
	opener  *pskcOpener
	now     time.Time
	waiting []Row // of a package with several keys
	inside  bool
}

// ReadPSKC reads a PSKC file. Keys are opened with key, which may be empty when
// nothing is encrypted; now decides whose time is over. There is no DTD in PSKC,
// and a file with one is refused, so no entity is ever expanded.
func ReadPSKC(r io.Reader, key Key, now time.Time) Reader {
	bound := &boundedReader{r: &limitedFile{r, maxFile}, left: maxPackage}
	return &pskcReader{x: xml.NewDecoder(bound), bound: bound, key: key, now: now}
}

// boundedReader fails when more is read for one thing than it can need.
type boundedReader struct {
	r    io.Reader
	left int
}

var errPackage = fmt.Errorf("one package of the file is larger than %d KB", maxPackage>>10)

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errPackage
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Next is the next key of the file. A package that makes no sense is a row with an
// error; a text that is no XML ends the file.
func (p *pskcReader) Next() (Row, error) {
	for len(p.waiting) == 0 {
		if err := p.more(); err != nil {
			if errors.Is(err, io.EOF) && p.inside {
				return Row{}, io.EOF
			}
			return Row{}, p.ended(err)
		}
	}
	row := p.waiting[0]
	p.waiting = p.waiting[1:]
	return row, nil
}

func (p *pskcReader) ended(err error) error {
	line, _ := p.x.InputPos()
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: this is no XML that can be read: %s", syntax.Line, plainText(syntax.Msg))
	case errors.Is(err, io.EOF):
		return errors.New("this is no PSKC file: there is no KeyContainer in it")
	}
	return fmt.Errorf("line %d: %w", line, err)
}

// plainText keeps a message of the XML reader from carrying what the file says.
func plainText(msg string) string {
	if before, _, quoted := strings.Cut(msg, "<"); quoted {
		msg = before
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, msg[:min(len(msg), 80)]))
}

// more reads on to the next package.
func (p *pskcReader) more() error {
	p.bound.left = maxPackage
	for {
		t, err := p.x.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.Directive:
			return errors.New("the file brings a document type of its own (DTD), which no PSKC file needs")
		case xml.StartElement:
			if done, err := p.element(t); done || err != nil {
				return err
			}
		}
	}
}

func (p *pskcReader) element(t xml.StartElement) (done bool, err error) {
	line, _ := p.x.InputPos()
	switch name := t.Name.Local; {
	case !p.inside && name != "KeyContainer":
		return false, errors.New("this is no PSKC file: it does not begin with a KeyContainer")
	case name == "KeyContainer":
		p.inside = true
		return false, nil
	case name == "EncryptionKey" || name == "MACMethod":
		if p.opener == nil {
			p.opener = &pskcOpener{key: p.key}
		}
		return false, p.opener.read(p.x, t)
	case name != "KeyPackage":
		return false, p.x.Skip()
	}
	var pack pskcPackage
	if err := p.x.DecodeElement(&pack, &t); err != nil { // all fields are texts: what fails is the XML itself
		return false, err
	}
	p.waiting = p.rows(line, pack)
	return true, nil
}

func (p *pskcReader) rows(line int, pack pskcPackage) (all []Row) {
	if len(pack.Keys) == 0 {
		return []Row{{Line: line, Err: errors.New("the package holds no key")}}
	}
	for _, k := range pack.Keys {
		row := Row{Line: line}
		row.Token, row.Err = p.token(pack, k)
		all = append(all, row)
	}
	return all
}

const pskcNames = "urn:ietf:params:xml:ns:keyprov:pskc"

func (p *pskcReader) token(pack pskcPackage, k pskcKey) (t Token, err error) {
	switch strings.TrimSpace(k.Algorithm) {
	case pskcNames + ":hotp", pskcNames + "#hotp", "http://www.ietf.org/keyprov/pskc#hotp":
		t.Kind = HOTP
	case pskcNames + ":totp", pskcNames + "#totp", "http://www.ietf.org/keyprov/pskc#totp":
		t.Kind = TOTP
	default:
		return t, errors.New("its algorithm is neither HOTP nor TOTP of PSKC")
	}
	if e := k.Parameters.Response.Encoding; e != "" && e != "DECIMAL" {
		return t, errors.New("its codes are not made of digits")
	}
	if err := k.Policy.check(p.now); err != nil {
		return t, err
	}
	t.Manufacturer, t.Algorithm = pack.Device.Manufacturer, algorithm(k.Parameters.Suite)
	digits, bad := strconv.Atoi(cmp.Or(strings.TrimSpace(k.Parameters.Response.Length), "6"))
	if bad != nil {
		return t, errors.New("the length of its codes is not a number")
	}
	t.Digits = digits
	if t.Kind == HOTP {
		t.Counter, err = k.Data.Counter.number("counter", 0)
	} else {
		t.Period, err = k.Data.Interval.number("time interval", 30)
	}
	if err != nil {
		return t, err
	}
	secret, err := p.secret(k.Data.Secret)
	if err != nil {
		return t, err
	}
	return t.check(pack.Device.Serial, secret)
}

func (p *pskcReader) secret(v pskcValue) ([]byte, error) {
	switch {
	case v.Encrypted != nil:
		return p.opener.open(*v.Encrypted, v.MAC)
	case v.Plain != nil:
		secret, err := fromBase64(*v.Plain)
		if err != nil {
			return nil, errors.New("the secret is not base64")
		}
		return secret, nil
	}
	return nil, errors.New("there is no secret in it")
}

func (v pskcValue) number(what string, usual int64) (int64, error) {
	switch {
	case v.Encrypted != nil:
		return 0, fmt.Errorf("its %s is encrypted, which is not supported; only the secret may be", what)
	case v.Plain == nil:
		return usual, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(*v.Plain), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("its %s is not a number", what)
	}
	return n, nil
}

func fromBase64(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
}

// check obeys what a key's policy says, and refuses a key whose policy says what we
// do not understand (RFC 6030 §5).
func (p *pskcPolicy) check(now time.Time) error {
	if p == nil {
		return nil
	}
	var uses []string
	for _, part := range p.Parts {
		text := strings.TrimSpace(part.Text)
		switch part.XMLName.Local {
		case "StartDate", "ExpiryDate":
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return errors.New("its policy names a date that cannot be read")
			}
			if begins := part.XMLName.Local == "StartDate"; begins == now.Before(at) {
				return fmt.Errorf("its policy says that it may be used only %s %s", map[bool]string{true: "from", false: "until"}[begins], at.UTC().Format(time.DateOnly))
			}
		case "KeyUsage":
			uses = append(uses, text)
		case "PINPolicy":
			if part.PINMode != "" && part.PINMode != "Local" {
				return errors.New("its codes are mixed with a PIN, which is not supported")
			}
		default:
			return errors.New("its policy says something that is not understood here, and then it must not be used")
		}
	}
	if len(uses) > 0 && !slices.Contains(uses, "OTP") {
		return errors.New("its policy does not let it be used for one-time codes")
	}
	return nil
}
