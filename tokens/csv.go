package tokens

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxLine bounds a line of a CSV file; a token needs a few hundred bytes.
const maxLine = 8 << 10

// csvColumns are the columns that are understood, and what is meant where they are
// missing or empty.
var csvColumns = []string{"serial", "secret", "type", "digits", "period", "counter", "algorithm", "manufacturer", "encoding"}

type csvReader struct {
	r       *bufio.Reader
	line    int
	comma   rune
	columns map[string]int
	fields  int
}

// ReadCSV reads a CSV file whose first line names its columns: serial and secret,
// and as needed type (totp, hotp), digits, period, counter, algorithm, manufacturer
// and encoding (hex, base32) of the secret. Fields are separated by commas,
// semicolons or tabs. Each line stands alone: one that is broken breaks no other.
func ReadCSV(r io.Reader) (Reader, error) {
	c := &csvReader{r: bufio.NewReaderSize(&limitedFile{r, maxFile}, maxLine), comma: ','}
	head, _, err := c.nextLine()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	head = strings.TrimPrefix(head, "\uFEFF")
	for _, comma := range ";\t" {
		if strings.Count(head, string(comma)) > strings.Count(head, string(c.comma)) {
			c.comma = comma
		}
	}
	names, err := c.split(head)
	if err != nil {
		return nil, fmt.Errorf("line 1 cannot be read as the names of columns: %w", err)
	}
	return c, c.header(names)
}

func (c *csvReader) header(names []string) error {
	c.columns, c.fields = map[string]int{}, len(names)
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(csvColumns, name) {
			return fmt.Errorf("line 1: column %d is not one of %s", i+1, strings.Join(csvColumns, ", "))
		}
		if _, twice := c.columns[name]; twice {
			return fmt.Errorf("line 1 names the column %s twice", name)
		}
		c.columns[name] = i
	}
	for _, must := range csvColumns[:2] {
		if _, ok := c.columns[must]; !ok {
			return fmt.Errorf("line 1 must name the columns; there is none called %s", must)
		}
	}
	return nil
}

// nextLine is the next line that is not empty; tooLong when its end was cut off.
func (c *csvReader) nextLine() (text string, tooLong bool, err error) {
	for {
		part, more, err := c.r.ReadLine()
		if err != nil {
			return "", false, err
		}
		c.line++
		text := string(part)
		for more && err == nil {
			tooLong = true
			_, more, err = c.r.ReadLine()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", false, err
		}
		if tooLong || strings.Trim(text, " \t,;\r") != "" {
			return text, tooLong, nil
		}
	}
}

func (c *csvReader) split(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.FieldsPerRecord = c.comma, -1
	fields, err := r.Read()
	if err != nil {
		return nil, errors.New("the quotes do not match")
	}
	return fields, nil
}

// Next is the next line.
func (c *csvReader) Next() (Row, error) {
	text, tooLong, err := c.nextLine()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("after line %d: %w", c.line, err)
		}
		return Row{}, err
	}
	row := Row{Line: c.line}
	if tooLong {
		row.Err = fmt.Errorf("the line is longer than %d bytes", maxLine)
		return row, nil
	}
	fields, err := c.split(text)
	switch {
	case err != nil:
		row.Err = err
	case len(fields) != c.fields:
		row.Err = fmt.Errorf("the line has %d fields, and line 1 names %d", len(fields), c.fields)
	default:
		row.Token, row.Err = c.token(fields)
	}
	return row, nil
}

func (c *csvReader) token(fields []string) (t Token, err error) {
	of := func(name string) string {
		if i, ok := c.columns[name]; ok {
			return strings.TrimSpace(fields[i])
		}
		return ""
	}
	t = Token{Manufacturer: of("manufacturer"), Kind: Kind(strings.ToLower(cmp.Or(of("type"), string(TOTP)))), Algorithm: algorithm(of("algorithm"))}
	var digits, period int64
	for _, f := range []struct {
		name  string
		usual int64
		to    *int64
	}{{"digits", 6, &digits}, {"period", 30, &period}, {"counter", 0, &t.Counter}} {
		if *f.to, err = number(of(f.name), f.usual); err != nil {
			return t, fmt.Errorf("%s is not a number", f.name)
		}
	}
	t.Digits = int(min(max(digits, 0), 99))
	if t.Kind == TOTP {
		t.Period, t.Counter = period, 0
	}
	secret, err := secretOf(of("secret"), strings.ToLower(of("encoding")))
	if err != nil {
		return t, err
	}
	return t.check(of("serial"), secret)
}

func number(text string, usual int64) (int64, error) {
	if text == "" {
		return usual, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// secretOf reads a secret in hexadecimal digits or in base32. A text that can be
// read as either is refused rather than guessed.
func secretOf(text, encoding string) ([]byte, error) {
	plain := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text))
	asHex, badHex := hex.DecodeString(plain)
	as32, bad32 := base32Secret.DecodeString(strings.TrimRight(plain, "="))
	longEnough := func(b []byte, err error) bool { return err == nil && len(b) >= shortestSecret }
	switch {
	case plain == "":
		return nil, errors.New("there is no secret")
	case encoding != "" && encoding != "hex" && encoding != "base32":
		return nil, errors.New("the encoding is neither hex nor base32")
	case encoding == "hex" && badHex != nil:
		return nil, errors.New("the secret is not made of pairs of hexadecimal digits")
	case encoding == "base32" && bad32 != nil:
		return nil, errors.New("the secret is not base32")
	case encoding == "hex":
		return asHex, nil
	case encoding == "base32":
		return as32, nil
	case longEnough(asHex, badHex) && longEnough(as32, bad32):
		return nil, errors.New("the secret can be read as hex and as base32; add a column called encoding")
	case longEnough(asHex, badHex), badHex == nil && bad32 != nil:
		return asHex, nil
	case bad32 == nil:
		return as32, nil
	}
	return nil, errors.New("the secret is neither hex nor base32")
}
