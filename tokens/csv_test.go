package tokens

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const hexSecret = "3132333435363738393031323334353637383930" // rfcSecret in hex

func TestCSVAsMakersAndSpreadsheetsWriteIt(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"the shortest", "serial,secret\n1001," + hexSecret, "2:  1001 totp SHA1 6 30 0"},
		{"base32", "serial,secret\n1001," + rfcSecret + "\n", "2:  1001 totp SHA1 6 30 0"},
		{"everything, in another order", "type,serial,algorithm,digits,period,counter,manufacturer,secret\nTOTP,a-10 01,sha-256,8,60,,Acme Ltd," + hexSecret, "2: Acme Ltd A1001 totp SHA256 8 60 0"},
		{"a token with a button", "serial,type,counter,secret\n1001,hotp,77," + hexSecret, "2:  1001 hotp SHA1 6 0 77"},
		{"semicolons, capitals and a byte order mark", "\uFEFFSerial;Secret;Digits\r\n1001;" + hexSecret + ";8\r\n", "2:  1001 totp SHA1 8 30 0"},
		{"tabs", "serial\tsecret\n1001\t" + hexSecret, "2:  1001 totp SHA1 6 30 0"},
		{"quotes and empty lines", "\"serial\",\"secret\"\n\n,\n\"1001\",\"" + hexSecret + "\"\n\n", "4:  1001 totp SHA1 6 30 0"},
		{"spaces in a secret", "serial,secret\n1001,31323334 35363738 39303132 33343536 37383930", "2:  1001 totp SHA1 6 30 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := ReadCSV(strings.NewReader(c.text))
			if err != nil {
				t.Fatal(err)
			}
			rows, err := readAll(r)
			if err != nil || len(rows) != 1 || said(rows[0]) != c.want {
				t.Fatalf("%v %+v, want %s", err, rows, c.want)
			}
			if rows[0].Token.Secret.Reveal() != rfcSecret {
				t.Error("another secret")
			}
		})
	}
}

func TestALineOfCSVFailsAloneWithItsNumber(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"no serial number", "," + hexSecret + ",totp,6,,", "there is no serial number"},
		{"a formula", "=1+1," + hexSecret + ",totp,6,,", "formula"},
		{"a formula behind a space", "\" @SUM(A1)\"," + hexSecret + ",totp,6,,", "formula"},
		{"a serial number with a command for the terminal", "10\x1b[2J," + hexSecret + ",totp,6,,", "letters and digits"},
		{"a serial number as long as a novel", strings.Repeat("1", 50) + "," + hexSecret + ",totp,6,,", "letters and digits"},
		{"no secret", "1,,totp,6,,", "there is no secret"},
		{"a short secret", "1,31323334,totp,6,,", "the secret has 4 bytes"},
		{"a secret that is neither", "1,xyz!,totp,6,,", "neither hex nor base32"},
		{"a secret that is both", "1,ABCDEF234567ABCDEF234567ABCDEF234567ABCD,totp,6,,", "can be read as hex and as base32"},
		{"a type nobody knows", "1," + hexSecret + ",ocra,6,,", "neither totp nor hotp"},
		{"digits in words", "1," + hexSecret + ",totp,six,,", "digits is not a number"},
		{"nine digits", "1," + hexSecret + ",totp,9,,", "6, 7 or 8"},
		{"a period of a second", "1," + hexSecret + ",totp,6,1,", "the period is not"},
		{"a counter below nothing", "1," + hexSecret + ",hotp,6,,-5", "the counter is not"},
		{"a counter that overflows", "1," + hexSecret + ",hotp,6,,99999999999999999999", "counter is not a number"},
		{"a field too many", "1," + hexSecret + ",totp,6,,,,", "fields"},
		{"a quote that never ends", "\"1," + hexSecret + ",totp,6,,", "quotes"},
		{"a line without end", strings.Repeat("x", 20_000), "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := ",totp,6,,\n"
			r, err := ReadCSV(strings.NewReader("serial,secret,type,digits,period,counter\n100," + hexSecret + good + c.line + "\n102," + hexSecret + good))
			if err != nil {
				t.Fatal(err)
			}
			rows, err := readAll(r)
			if err != nil || len(rows) != 3 || rows[0].Err != nil || rows[2].Err != nil || rows[2].Line != 4 {
				t.Fatalf("%v %+v", err, rows)
			}
			if e := rows[1].Err; e == nil || rows[1].Line != 3 || !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), hexSecret) {
				t.Errorf("%v, want %q", e, c.want)
			}
		})
	}
}

func TestACSVWithoutAHeaderIsRefusedWhole(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"no header", "1001," + hexSecret, "column 1 is not one of serial, secret"},
		{"no secrets", "serial,type\n1,totp", "none called secret"},
		{"a column twice", "serial,secret,serial\n", "twice"},
		{"a column nobody knows", "serial,secret,owner\n", "column 3 is not one of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadCSV(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), hexSecret) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A file of 10 000 tokens is read line by line: memory does not grow with it.
func TestABigFileIsNotKeptInMemory(t *testing.T) {
	var b strings.Builder
	b.WriteString("serial,secret\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "%08d,%s\n", i, hexSecret)
	}
	r, err := ReadCSV(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	for {
		if _, err := r.Next(); err != nil {
			break
		}
		n++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); n != 100_000 || grown > 1<<20 {
		t.Errorf("%d rows, %d bytes more", n, grown)
	}
	runtime.KeepAlive(r)
}

func FuzzCSV(f *testing.F) {
	f.Add("serial,secret\n1001," + hexSecret)
	f.Add("serial;secret;type;counter\n\"1001\";" + rfcSecret + ";hotp;5\n\n=x;y;z;\n")
	f.Add("\uFEFFserial\tsecret\tencoding\n1\tABCD\thex")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ReadCSV(strings.NewReader(text))
		if err != nil {
			return
		}
		rows, _ := readAll(r)
		for _, row := range rows {
			mustBeInOrder(t, row)
		}
	})
}
