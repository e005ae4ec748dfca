package words

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestADeviceIsCalledByTheNamePeopleKnow(t *testing.T) {
	for name, row := range map[string]struct{ agent, want string }{
		"Chrome on a Mac":         {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome on macOS"},
		"Firefox on Linux":        {"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"},
		"Edge on Windows":         {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Windows"},
		"Safari on an iPhone":     {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", "Safari on iOS"},
		"Safari on an iPad":       {"Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", "Safari on iPadOS"},
		"Chrome on Android":       {"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"},
		"a headless Chrome":       {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36", "Chrome on Linux"},
		"our own client":          {"Gatehouse/1.0 (bench)", "Gatehouse API client"},
		"a native app of ours":    {"GatehouseApp/2.1", "Gatehouse API client"},
		"curl":                    {"curl/8.14.1", "curl"},
		"a Go program":            {"Go-http-client/2.0", "a Go program"},
		"no header":               {"", "an unknown browser"},
		"a header full of spite":  {"<script>alert(1)</script> https://evil.example/ Call 555", "an unknown browser"},
		"an unknown one on Linux": {"Mozilla/5.0 (X11; Linux x86_64) Wonder/1.0", "an unknown browser on Linux"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := For("en").Device(row.agent); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestALongHeaderIsCutBeforeItIsParsed(t *testing.T) {
	if browser, system := Device(strings.Repeat("x", maxAgent) + " Firefox/145.0"); browser != "" || system != "" {
		t.Errorf("read beyond the bound: %q %q", browser, system)
	}
}

func FuzzADeviceIsNamedInOurWordsOnly(f *testing.F) {
	f.Add("Mozilla/5.0 (Windows NT 10.0) Evil/1.0 Chrome/1")
	f.Add("Gatehouse")
	known := map[string]bool{"": true}
	for _, b := range browsers {
		known[b] = true
	}
	for _, s := range systems {
		known[s] = true
	}
	known["iPadOS"] = true
	f.Fuzz(func(t *testing.T, agent string) {
		browser, system := Device(agent)
		if !known[browser] || !known[system] {
			t.Errorf("%q became %q on %q", agent, browser, system)
		}
		if s := For("en").Device(agent); s == "" || !utf8.ValidString(s) {
			t.Errorf("%q became %q", agent, s)
		}
	})
}
