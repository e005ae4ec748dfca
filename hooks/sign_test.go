package hooks

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gatehouse/seal"
)

// The example of the specification and of its reference libraries.
const (
	vectorSecret  seal.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID      string      = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody    string      = `{"test": 2432232314}`
	vectorWant    string      = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorSeconds int64       = 1614265330
)

func TestTheSignatureIsTheOneOfTheSpecification(t *testing.T) {
	got, err := sign([]seal.Secret{vectorSecret}, vectorID, time.Unix(vectorSeconds, 999), []byte(vectorBody))
	if err != nil || got != vectorWant {
		t.Errorf("got %q, %v; want %q", got, err, vectorWant)
	}
}

func TestEachSecretOfARotationIsAcceptedByTheReferenceLibrary(t *testing.T) {
	now := time.Now()
	old, fresh := fresh(t, now), fresh(t, now)
	body := []byte(`{"type":"signin.succeeded"}`)
	signature, err := sign(texts([]secret{fresh, old}, now), "0199f000", now, body)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set(headerID, "0199f000")
	header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(headerSignature, signature)
	for name, row := range map[string]struct {
		secret string
		body   []byte
		good   bool
	}{
		"the new secret":            {fresh.Text, body, true},
		"the old secret":            {old.Text, body, true},
		"a secret of somebody else": {vectorSecret.Reveal(), body, false},
		"another body":              {fresh.Text, append(bytes.Clone(body), ' '), false},
	} {
		judge, err := standardwebhooks.NewWebhook(row.secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := judge.Verify(row.body, header); (err == nil) != row.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fresh(t *testing.T, now time.Time) secret {
	t.Helper()
	s, err := newSecret(rand.Reader, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASecretSignsUntilItsOverlapIsOverAndTheNewestForEver(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	first, second, third := fresh(t, now), fresh(t, now), fresh(t, now)
	all := rotated([]secret{first}, second, now, time.Hour)
	all = rotated(all, third, now.Add(30*time.Minute), time.Hour)
	for name, row := range map[string]struct {
		after time.Duration
		want  []secret
	}{
		"at once all three":                       {30 * time.Minute, []secret{third, second, first}},
		"after an hour the first has ended":       {time.Hour, []secret{third, second}},
		"half an hour later so has the second":    {90 * time.Minute, []secret{third}},
		"in ten years the newest signs as before": {10 * 365 * 24 * time.Hour, []secret{third}},
	} {
		var want []string
		for _, s := range row.want {
			want = append(want, s.Text)
		}
		var got []string
		for _, s := range texts(all, now.Add(row.after)) {
			got = append(got, s.Reveal())
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %d sign", name, len(got))
		}
	}
	if leaked := rotated(all, first, now, 0); len(leaked) != 1 {
		t.Errorf("with no overlap %d secrets sign", len(leaked))
	}
	for range 10 {
		all = rotated(all, fresh(t, now), now, LongestOverlap)
	}
	if len(all) != maxSecrets {
		t.Errorf("%d secrets are kept", len(all))
	}
}

func FuzzASecretIsReadOrRefusedAndNeverTold(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Add("whsec_")
	f.Add("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := keyOf(seal.Secret(text))
		if err != nil && len(text) > 20 && strings.Contains(err.Error(), text) {
			t.Error("the error tells the secret")
		}
		if err == nil && (len(key) < leastKey || len(key) > mostKey || !strings.HasPrefix(text, prefix)) {
			t.Errorf("accepted %d bytes", len(key))
		}
	})
}
