package tokens

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// spring is when the keys of figure 10 were young.
var spring = time.Date(2006, 5, 15, 0, 0, 0, 0, time.UTC)

const rfcSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // "12345678901234567890"

func figure(t testing.TB, n int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rfc6030", fmt.Sprintf("figure%d.xml", n)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readAll(r Reader) (rows []Row, err error) {
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

// said is a row in a few words.
func said(r Row) string {
	if r.Err != nil {
		return fmt.Sprintf("%d: %v", r.Line, r.Err)
	}
	t := r.Token
	return fmt.Sprintf("%d: %s %s %s %s %d %d %d", r.Line, t.Manufacturer, t.Serial, t.Kind, t.Algorithm, t.Digits, t.Period, t.Counter)
}

func TestTheFiguresOfRFC6030(t *testing.T) {
	shared, err := hex.DecodeString("12345678901234567890123456789012")
	if err != nil {
		t.Fatal(err)
	}
	good := Key{Bytes: shared, Passphrase: "qwerty"}
	for _, c := range []struct {
		name   string
		figure int
		key    Key
		now    time.Time
		want   []string
	}{
		{"a key without a device has no serial number", 2, Key{}, spring, []string{"3: there is no serial number"}},
		{"a token with all that belongs to it", 3, Key{}, spring, []string{"3: Manufacturer 987654321 hotp SHA1 8 0 0"}},
		{"a key that is only a reference to another", 4, Key{}, spring, []string{"3: there is no secret in it"}},
		{"a token with a PIN of its own, and the PIN", 5, Key{}, spring, []string{"3: Manufacturer 987654321 hotp SHA1 8 0 0", "22: its algorithm is neither HOTP nor TOTP of PSKC"}},
		{"encrypted with a pre-shared key", 6, good, spring, []string{"12: Manufacturer 987654321 hotp SHA1 8 0 0"}},
		{"encrypted, and no key", 6, Key{}, spring, []string{"12: " + ErrKeyNeeded.Error()}},
		{"encrypted, and another key", 6, Key{Bytes: make([]byte, 16)}, spring, []string{"12: " + ErrWrongKey.Error()}},
		{"encrypted, and a key of another length", 6, Key{Bytes: make([]byte, 32)}, spring, []string{"12: " + ErrWrongKey.Error()}},
		{"encrypted with a passphrase", 7, good, spring, []string{"26: TokenVendorAcme 987654321 hotp SHA1 8 0 0"}},
		{"encrypted with another passphrase", 7, Key{Passphrase: "qwertz"}, spring, []string{"26: " + ErrWrongKey.Error()}},
		{"encrypted with a passphrase, and a key was given", 7, Key{Bytes: shared}, spring, []string{"26: " + ErrKeyNeeded.Error()}},
		{"wrapped for a certificate", 8, good, spring, []string{"6: the key of this file is wrapped for a certificate, which is not supported; ask its maker for one with a pre-shared key or a passphrase"}},
		{"many tokens, some out of date", 10, Key{}, spring, []string{"3: TokenVendorAcme 654321 hotp SHA1 8 0 0", "23: TokenVendorAcme 123456 hotp SHA1 8 0 0",
			"43: its policy says that it may be used only until 2006-03-31", "63: its policy says that it may be used only until 2006-04-30"}},
		{"many tokens before their time", 10, Key{}, spring.AddDate(-1, 0, 0), []string{"3: its policy says that it may be used only from 2006-05-01", "23: its policy says that it may be used only from 2006-05-01",
			"43: its policy says that it may be used only from 2006-03-01", "63: its policy says that it may be used only from 2006-04-01"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := readAll(ReadPSKC(strings.NewReader(figure(t, c.figure)), c.key, c.now))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				got = append(got, said(r))
				if r.Err == nil && r.Token.Secret.Reveal() != rfcSecret {
					t.Error("the secret is not that of the RFC")
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestPSKCThatIsNotAsItShouldBe(t *testing.T) {
	shared, _ := hex.DecodeString("12345678901234567890123456789012")
	six, three := figure(t, 6), figure(t, 3)
	pack := three[strings.Index(three, "<KeyPackage>"):strings.Index(three, "</KeyContainer>")]
	container := func(inside string) string {
		return `<KeyContainer xmlns="urn:ietf:params:xml:ns:keyprov:pskc">` + inside + `</KeyContainer>`
	}
	for _, c := range []struct {
		name, text, row, err string
	}{
		{"a bit of the cipher text was turned", strings.Replace(six, "AAECAwQF", "AAECAwQG", 1), ErrWrongKey.Error(), ""},
		{"the check value was taken out", strings.Replace(six, "Su+NvtQfmvfJzF6bmQiJqoLRExc=", "", 1), "nobody could tell", ""},
		{"the check value has another method", strings.Replace(six, "#hmac-sha1", "#hmac-md5", 1), "nobody could tell", ""},
		{"the cipher is one that is not supported", strings.ReplaceAll(six, "aes128-cbc", "tripledes-cbc"), ErrWrongKey.Error(), ""},
		{"an encrypted counter", strings.Replace(three, "<Counter><PlainValue>0</PlainValue></Counter>", "<Counter><EncryptedValue/></Counter>", 1), "its counter is encrypted", ""},
		{"a counter in words", strings.Replace(three, "<PlainValue>0<", "<PlainValue>none<", 1), "its counter is not a number", ""},
		{"a counter below nothing", strings.Replace(three, "<PlainValue>0<", "<PlainValue>-1<", 1), "the counter is not", ""},
		{"five digits", strings.Replace(three, `Length="8"`, `Length="5"`, 1), "6, 7 or 8 digits", ""},
		{"letters in its codes", strings.Replace(three, "DECIMAL", "HEXADECIMAL", 1), "not made of digits", ""},
		{"a secret that is too short", strings.Replace(three, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "MTIzNA==", 1), "the secret has 4 bytes", ""},
		{"a secret of one byte over and over", strings.Replace(three, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1), "over and over", ""},
		{"a secret that is no base64", strings.Replace(three, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "!", 1), "not base64", ""},
		{"a serial number that is a formula", strings.Replace(three, "987654321", "=cmd|'/C calc'!A0", 1), "formula", ""},
		{"a policy nobody understands", strings.Replace(three, "</Data>", "</Data><Policy><Moon>full</Moon></Policy>", 1), "not understood", ""},
		{"a PIN in front of the code", strings.Replace(three, "</Data>", `</Data><Policy><PINPolicy PINUsageMode="Prepend"/></Policy>`, 1), "mixed with a PIN", ""},
		{"a key for another purpose", strings.Replace(three, "</Data>", `</Data><Policy><KeyUsage>CR</KeyUsage></Policy>`, 1), "does not let it be used", ""},
		{"a package without a key", container("<KeyPackage><DeviceInfo><SerialNo>1</SerialNo></DeviceInfo></KeyPackage>"), "holds no key", ""},
		{"a document type", "<!DOCTYPE a [<!ENTITY x \"y\">]>" + container(pack), "", "DTD"},
		{"an entity", strings.Replace(three, "987654321", "&x;", 1), "", "no XML"},
		{"a billion laughs", `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>` + container("&b;"), "", "DTD"},
		{"a file that is cut off", three[:len(three)-30], "", "no XML"},
		{"no file at all", "", "", "there is no KeyContainer"},
		{"something else", "<html></html>", "", "does not begin with a KeyContainer"},
		{"a package of many megabytes", container("<KeyPackage><DeviceInfo><SerialNo>" + strings.Repeat("1", 4<<20) + "</SerialNo></DeviceInfo></KeyPackage>"), "", "larger than"},
		{"elements inside each other without end", container("<KeyPackage>" + strings.Repeat("<a>", 30_000)), "", "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := readAll(ReadPSKC(strings.NewReader(c.text), Key{Bytes: shared}, spring))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil || len(rows) != 1 || rows[0].Err == nil || !strings.Contains(rows[0].Err.Error(), c.row) {
				t.Fatalf("%v %+v, want %q", err, rows, c.row)
			}
		})
	}
}

func TestABadPackageFailsAlone(t *testing.T) {
	text := strings.Replace(figure(t, 10), "<SerialNo>123456</SerialNo>", "<SerialNo>@SUM(A1)</SerialNo>", 1)
	rows, err := readAll(ReadPSKC(strings.NewReader(text), Key{}, spring))
	if err != nil || len(rows) != 4 || rows[0].Err != nil || rows[1].Err == nil || rows[1].Line != 23 {
		t.Errorf("%v %+v", err, rows)
	}
}

func TestTOTPOfPSKC(t *testing.T) {
	text := strings.NewReplacer(":hotp", ":totp", "<AlgorithmParameters>", "<AlgorithmParameters><Suite>HMAC-SHA256</Suite>",
		"<Counter><PlainValue>0</PlainValue></Counter>", "<TimeInterval><PlainValue>60</PlainValue></TimeInterval>").Replace(figure(t, 3))
	rows, err := readAll(ReadPSKC(strings.NewReader(text), Key{}, spring))
	if err != nil || len(rows) != 1 || said(rows[0]) != "3: Manufacturer 987654321 totp SHA256 8 60 0" {
		t.Errorf("%v %+v", err, rows)
	}
}

func FuzzPSKC(f *testing.F) {
	for _, n := range []int{2, 3, 5, 6, 7, 8, 10} {
		f.Add(figure(f, n))
	}
	key := Key{Bytes: []byte("0123456789abcdef"), Passphrase: "qwerty"}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "IterationCount") && strings.Count(text, "0") > 60 {
			return // may ask for millions of rounds, which is allowed and slow
		}
		rows, _ := readAll(ReadPSKC(strings.NewReader(text), key, spring))
		for _, r := range rows {
			mustBeInOrder(t, r)
		}
	})
}

// mustBeInOrder: whatever a file says, a token that is taken can be used.
func mustBeInOrder(t *testing.T, r Row) {
	t.Helper()
	if r.Err != nil {
		if text := r.Err.Error(); strings.ContainsAny(text, "\x1b\n\r\x00") || len(text) > 300 {
			t.Errorf("a reason that is not fit to be printed: %q", text)
		}
		return
	}
	if serial, ok := Serial(r.Token.Serial); !ok || serial != r.Token.Serial || r.Token.checkCodes() != nil || looksLikeFormula(r.Token.Manufacturer) || r.Line < 1 {
		t.Errorf("%+v", r)
	}
}
