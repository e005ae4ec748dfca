package authenticators

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/seal"
)

func TestTheRangeServerSeesFiveDigitsAndIsBelieved(t *testing.T) {
	hash := sha1Hex("lantern")
	for _, row := range []struct {
		name, reply  string
		status       int
		found, known bool
	}{
		{"in the list", "00000:7\r\n" + hash[5:] + ":42\r\n", 200, true, true},
		{"in the list, in small letters, on the last line", strings.ToLower(hash[5:]) + ":1", 200, true, true},
		{"not in the list", sha1Hex("quayside")[5:] + ":42\r\n", 200, false, true},
		{"padding, which is counted zero times", hash[5:] + ":0\r\n", 200, false, true},
		{"an empty reply", "", 200, false, true},
		{"a server that is out of order", hash[5:] + ":42", 503, false, false},
		{"a reply without end", strings.Repeat("x", 2<<20), 200, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.String() != "/range/"+hash[:5] || r.Header.Get("Add-Padding") != "true" || r.Method != http.MethodGet {
					t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
				}
				w.WriteHeader(row.status)
				w.Write([]byte(row.reply))
			}))
			defer server.Close()
			failed := 0
			for _, base := range []string{server.URL + "/range", server.URL + "/range/"} {
				r := &Ranges{Client: server.Client(), Base: base, Budget: time.Minute, Failed: func(error) { failed++ }}
				if found, known := r.Contains(t.Context(), "lantern"); found != row.found || known != row.known {
					t.Errorf("found %v, known %v", found, known)
				}
			}
			if (failed == 2) == row.known {
				t.Errorf("%d failures were told", failed)
			}
		})
	}
}

func TestASlowOrMissingRangeServerFailsOpen(t *testing.T) {
	stop := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(stop)
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, base := range map[string]string{"slow": slow.URL, "gone": gone.URL, "no address": "://", "not configured": ""} {
		var told error
		r := &Ranges{Client: slow.Client(), Base: base, Budget: 20 * time.Millisecond, Failed: func(err error) { told = err }}
		if found, known := r.Contains(t.Context(), "lantern"); found || known {
			t.Errorf("%s: found %v, known %v", name, found, known)
		}
		if told != nil && strings.Contains(told.Error(), sha1Hex("lantern")[:5]) {
			t.Errorf("%s: the log gets to see the digits: %v", name, told)
		}
	}
	var none *Ranges
	if found, known := none.Contains(t.Context(), seal.Secret("lantern")); found || known {
		t.Error("no server answers")
	}
	if RangeBudget != 300*time.Millisecond {
		t.Error("the default budget is", RangeBudget)
	}
}
