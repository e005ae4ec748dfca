// Command textprovider is a provider of text messages that is nobody's: it speaks
// the two interfaces that Gatehouse knows, keeps what it was given, and misbehaves
// as it is told. Tests run it as a process of its own, so that it can be killed.
//
//	textprovider ADDRESS [SECRET]
//
// prints the address it listens on. It wants the account AC and the token SECRET
// ("token"), or the same as signing secret when it begins with whsec_.
//
//	POST /2010-04-01/Accounts/AC/{Messages,Calls}.json, GET /2010-04-01/Accounts/AC.json
//	POST /hook
//	POST /behave  mode: ok, 500, 429, 401, 400, hang, garbage, cut, slow
//	GET  /taken   what was taken, oldest first, as JSON
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Taken is a message that was taken.
type Taken struct {
	ID     string `json:"id"` // of the caller's choice, to know a double by
	To     string `json:"to"`
	Way    string `json:"way"` // sms or voice
	Text   string `json:"text"`
	Digits string `json:"digits"` // of a call
}

type provider struct {
	secret string
	mu     sync.Mutex
	mode   string
	taken  []Taken
	asked  int
}

func main() {
	address, secret := "127.0.0.1:0", "token"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if len(os.Args) > 2 {
		secret = os.Args[2]
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	p := &provider{secret: secret, mode: "ok"}
	fmt.Fprintln(os.Stderr, http.Serve(l, p.handler()))
}

func (p *provider) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2010-04-01/Accounts/AC/Messages.json", p.misbehaving(p.message))
	mux.HandleFunc("POST /2010-04-01/Accounts/AC/Calls.json", p.misbehaving(p.call))
	mux.HandleFunc("GET /2010-04-01/Accounts/AC.json", p.misbehaving(func(w http.ResponseWriter, r *http.Request) {
		if p.knows(w, r) {
			fmt.Fprint(w, `{"sid":"AC"}`)
		}
	}))
	mux.HandleFunc("POST /hook", p.misbehaving(p.hook))
	mux.HandleFunc("POST /behave", func(_ http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mode = r.FormValue("mode")
	})
	mux.HandleFunc("GET /taken", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"taken": p.taken, "asked": p.asked})
	})
	return mux
}

// misbehaving does as the mode says before, or in place of, what it should.
func (p *provider) misbehaving(well http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		mode := p.mode
		p.asked++
		p.mu.Unlock()
		switch mode {
		case "500", "429", "401", "400":
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(map[string]int{"500": 500, "429": 429, "401": 401, "400": 400}[mode])
		case "hang":
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		case "garbage":
			fmt.Fprint(w, "<html>Please sign in to the network of this café")
		case "cut":
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		case "slow":
			<-time.After(1500 * time.Millisecond)
			well(w, r)
		default:
			well(w, r)
		}
	}
}

func (p *provider) keep(t Taken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = append(p.taken, t)
}

func (p *provider) knows(w http.ResponseWriter, r *http.Request) bool {
	account, token, _ := r.BasicAuth()
	if account == "AC" && token == p.secret {
		return true
	}
	http.Error(w, `{"code":20003}`, http.StatusUnauthorized)
	return false
}

func (p *provider) message(w http.ResponseWriter, r *http.Request) {
	if !p.knows(w, r) {
		return
	}
	if r.FormValue("From") == "" && r.FormValue("MessagingServiceSid") == "" {
		http.Error(w, `{"code":21603}`, http.StatusBadRequest)
		return
	}
	p.keep(Taken{ID: r.Header.Get("I-Twilio-Idempotency-Token"), To: r.FormValue("To"), Way: "sms", Text: r.FormValue("Body")})
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"sid":"SM1","status":"queued"}`)
}

var said = regexp.MustCompile(`<Say[^>]*>([^<]*)</Say>`)

func (p *provider) call(w http.ResponseWriter, r *http.Request) {
	if !p.knows(w, r) {
		return
	}
	t := Taken{ID: r.Header.Get("I-Twilio-Idempotency-Token"), To: r.FormValue("To"), Way: "voice", Text: r.FormValue("Twiml")}
	for _, m := range said.FindAllStringSubmatch(t.Text, -1) {
		if len(m[1]) == 1 {
			t.Digits += m[1]
		}
	}
	p.keep(t)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"sid":"CA1","status":"queued"}`)
}

func (p *provider) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	wh, err := standardwebhooks.NewWebhook(p.secret)
	if err == nil {
		err = wh.VerifyIgnoringTimestamp(body, r.Header) // stories have a clock of their own
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var c struct {
		Type string `json:"type"`
		Data struct {
			ID, To, Text string
			Digits       []string
		} `json:"data"`
	}
	if json.Unmarshal(body, &c) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if c.Type != "text.test" {
		way := map[string]string{"text.message": "sms", "text.call": "voice"}[c.Type]
		p.keep(Taken{ID: c.Data.ID, To: c.Data.To, Way: way, Text: c.Data.Text, Digits: strings.Join(c.Data.Digits, "")})
	}
	w.WriteHeader(http.StatusAccepted)
}
