package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const textsFile = `origin: https://login.example.com
trusted_proxies: [127.0.0.1/32]
mail:
  folder: /tmp/outbox
text:
`

func TestSettingsOfTextMessagesThatCannotWorkAreTold(t *testing.T) {
	twilio := "  kind: twilio\n  account: AC1\n  secret_file: /s\n  from: \"+351210000000\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"no provider":                   {"  countries: [PT]\n", ""},
		"whole":                         {twilio + "  countries: [PT]\n  home: PT\n", ""},
		"no country":                    {twilio, "text.countries is empty"},
		"a country that is none":        {twilio + "  countries: [Portugal]\n", `"Portugal" is not a country`},
		"a home abroad":                 {twilio + "  countries: [PT]\n  home: ES\n", "not among text.countries"},
		"no secret":                     {"  kind: hook\n  url: https://sms.example.com/\n  countries: [PT]\n", "text.secret_file is not set"},
		"a hook without an address":     {"  kind: hook\n  secret_file: /s\n  countries: [PT]\n", "set text.url"},
		"twilio without a number":       {"  kind: twilio\n  account: AC1\n  secret_file: /s\n  countries: [PT]\n", "text.from"},
		"in the open":                   {"  kind: hook\n  url: \"http://sms.example.com/\"\n  secret_file: /s\n  countries: [PT]\n", "use https://"},
		"on this machine":               {"  kind: hook\n  url: \"http://127.0.0.1:9/\"\n  secret_file: /s\n  countries: [PT]\n", ""},
		"a secret in the address":       {"  kind: hook\n  url: \"https://u:p@sms.example.com/\"\n  secret_file: /s\n  countries: [PT]\n", "is not an address"},
		"the second alone":              {"  second_kind: twilio\n  second_account: AC1\n  second_secret_file: /s\n  second_from: \"+1\"\n  countries: [PT]\n", "set text.kind too"},
		"a kind that nobody knows":      {"  kind: pigeon\n", `"pigeon" is not one of`},
		"a country above the day":       {twilio + "  countries: [PT]\n  country_day: 2000\n", "the budgets do not fit"},
		"a messaging service may, told": {strings.Replace(twilio, "+351210000000", "MG1", 1) + "  countries: [PT]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "gatehouse.yaml")
			if err := os.WriteFile(file, []byte(textsFile+c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			l := load(file, nil, nil)
			var told []string
			for _, m := range l.Mistakes {
				told = append(told, m.Message)
			}
			if got := strings.Join(told, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

func TestDoctorAsksEveryProviderAndSendsNothing(t *testing.T) {
	var posts int
	answer := http.StatusOK
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			posts++
		}
		w.WriteHeader(answer)
		_, _ = w.Write([]byte(`{"sid":"AC1"}`))
	}))
	defer provider.Close()
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &Loaded{Settings: Settings{TextKind: "twilio", TextURL: provider.URL, TextAccount: "AC1", TextSecret: secret, TextFrom: "+1", TextCountries: []string{"PT"}}}
	for status, want := range map[int]string{200: success, 401: failure, 500: failure, 429: failure} {
		answer = status
		d := &doctor{l: l}
		d.texts(t.Context())
		if len(d.findings) != 2 || d.findings[0].Status != warning || d.findings[1].Status != want || want == failure && d.findings[1].Fix == "" {
			t.Errorf("%d: %+v", status, d.findings)
		}
	}
	if posts > 0 {
		t.Errorf("%d messages were sent", posts)
	}
	d := &doctor{l: &Loaded{}}
	if d.texts(t.Context()); len(d.findings) > 0 {
		t.Errorf("without a provider: %+v", d.findings)
	}
}
