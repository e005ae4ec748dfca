package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/seal"
)

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 8291, Appendix A.
const (
	rfcPlain    = "When I grow up, I want to be a watermelon"
	rfcOurs     = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	rfcBrowser  = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	rfcPrivate  = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
	rfcAuth     = "BTBZMqHH6r4Tts7J_aSIgg"
	rfcSalt     = "DGv6ra1nlYgDCS1FRnbzlw"
	rfcExpected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

func TestTheExampleOfRFC8291ComesOutByteForByte(t *testing.T) {
	keys, err := ParseKeys(rfcBrowser, rfcAuth)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ecdh.P256().NewPrivateKey(unb64(t, rfcOurs))
	if err != nil {
		t.Fatal(err)
	}
	body, err := encrypt(keys, []byte(rfcPlain), ours, unb64(t, rfcSalt))
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.RawURLEncoding.EncodeToString(body); got != rfcExpected {
		t.Errorf("got  %s\nwant %s", got, rfcExpected)
	}
}

// opened decrypts as a browser does (RFC 8291 §3.4 from the other side).
func opened(t *testing.T, body []byte) string {
	t.Helper()
	private, err := ecdh.P256().NewPrivateKey(unb64(t, rfcPrivate))
	if err != nil {
		t.Fatal(err)
	}
	salt, point, sealed := body[:16], body[21:86], body[86:]
	theirs, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		t.Fatal(err)
	}
	shared, _ := private.ECDH(theirs)
	ikm, _ := hkdf.Key(sha256.New, shared, unb64(t, rfcAuth), "WebPush: info\x00"+string(private.PublicKey().Bytes())+string(point), 32)
	key, _ := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	nonce, _ := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	plain, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(plain), "\x02")
}

func TestEveryMessageHasAKeyOfItsOwnAndOpensForItsBrowser(t *testing.T) {
	keys, err := ParseKeys(rfcBrowser+"=", rfcAuth+"==")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 3 {
		body, err := Encrypt(keys, []byte("hello"), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := opened(t, body); got != "hello" || seen[string(body[:86])] {
			t.Errorf("%q", got)
		}
		seen[string(body[:86])] = true
	}
	if _, err := Encrypt(keys, make([]byte, maxPlain+1), rand.Reader); err == nil {
		t.Error("a message larger than a record was taken")
	}
}

func TestKeysThatNoBrowserMakesAreRefused(t *testing.T) {
	for name, c := range map[string][2]string{
		"nothing":                   {"", ""},
		"not base64":                {"%%", rfcAuth},
		"a point that is not on it": {base64.RawURLEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...)), rfcAuth},
		"a compressed point":        {base64.RawURLEncoding.EncodeToString(append([]byte{2}, make([]byte, 32)...)), rfcAuth},
		"a short secret":            {rfcBrowser, "AAAA"},
		"a long one":                {rfcBrowser, strings.Repeat("A", 4000)},
	} {
		if _, err := ParseKeys(c[0], c[1]); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(rfcBrowser, rfcAuth)
	f.Add("", "=")
	f.Fuzz(func(t *testing.T, p256dh, auth string) {
		keys, err := ParseKeys(p256dh, auth)
		if err != nil {
			return
		}
		if _, err := Encrypt(keys, []byte("x"), rand.Reader); err != nil {
			t.Errorf("keys that were taken cannot be used: %v", err)
		}
	})
}

func testKeys(t *testing.T) (string, *seal.Keys) {
	t.Helper()
	dir := t.TempDir() + "/keys"
	if err := seal.InitKeys(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, keys
}

func TestEveryNodeHasTheSameServerKeyAndARotationKeepsTheOld(t *testing.T) {
	dir, keys := testKeys(t)
	again, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	one := Servers(keys)
	if len(one) != 1 || one[0].Public != Servers(again)[0].Public {
		t.Fatal("another key on another node")
	}
	if err := seal.RotateKey(dir, "pepper"); err != nil {
		t.Fatal(err)
	}
	rotated, err := seal.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	two := Servers(rotated)
	if len(two) != 2 || two[0].Public == one[0].Public || two[1].Public != one[0].Public {
		t.Errorf("%d keys after a rotation, and the old one is not among them", len(two))
	}
}

func TestTheTokenIsSignedForOnePushServiceAndRunsOut(t *testing.T) {
	_, keys := testKeys(t)
	server, now := Servers(keys)[0], time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	endpoint, _ := url.Parse("https://push.example:8443/wpush/v2/secret-part")
	header, err := server.authorization(endpoint, "mailto:ops@example.com", now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(header, "secret-part") {
		t.Error("the push address itself is in the token")
	}
	token, key, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 || key != server.Public {
		t.Fatal(header)
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(unb64(t, parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Aud != "https://push.example:8443" || claims.Sub != "mailto:ops@example.com" || claims.Exp <= now.Unix() || claims.Exp > now.Add(24*time.Hour).Unix() {
		t.Errorf("%+v", claims)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unb64(t, key))
	if err != nil {
		t.Fatal(err)
	}
	sum, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), unb64(t, parts[2])
	if !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature does not hold")
	}
}

func TestWhatAPushServiceAnswersDecidesAboutTheMessageAndTheAddress(t *testing.T) {
	for _, c := range []struct {
		status int
		err    error
		class  outbox.Class
		gone   bool
	}{
		{201, nil, outbox.Done, false}, {200, nil, outbox.Done, false}, {404, nil, outbox.Unwritable, true}, {410, nil, outbox.Unwritable, true},
		{413, nil, outbox.Unwritable, false}, {429, nil, outbox.Later, false}, {500, nil, outbox.Later, false}, {503, nil, outbox.Later, false},
		{400, nil, outbox.Refused, false}, {403, nil, outbox.Refused, false}, {302, nil, outbox.Refused, false},
		{0, nil, outbox.Unreachable, false}, {0, errGone, outbox.Unwritable, true},
	} {
		if class, gone := classOf(c.status, c.err); class != c.class || gone != c.gone {
			t.Errorf("%d %v: %q, gone %v", c.status, c.err, class, gone)
		}
	}
}

func TestATopicFitsAndTTLIsWhatIsLeft(t *testing.T) {
	if got := topic(outbox.Message{Lane: "019a9f2e-6a11-7b2c-8d3e-4f5a6b7c8d9e"}); len(got) != 32 {
		t.Errorf("%q", got)
	}
	if ttl(time.Minute) != "60" || ttl(500*time.Millisecond) != "1" || ttl(-time.Second) != "1" {
		t.Error(ttl(time.Minute))
	}
}
