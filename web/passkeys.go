package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/seal"
)

// Passkeys is what pages and API need for passkeys.
type Passkeys struct {
	Rules *authenticators.Relying
	Ask   PasskeyAsker
	Keep  PasskeyKeeper
}

// PasskeyAsker is flow.Flow, as far as it says what to ask a browser.
type PasskeyAsker interface {
	PasskeyOptions(ctx context.Context, attempt string, who flow.Who) (flow.PasskeyAsk, error)
}

// PasskeyKeeper is manage.Manage, as far as a person adds a passkey.
type PasskeyKeeper interface {
	BeginPasskey(context.Context, manage.Caller, authenticators.PasskeySort) (note string, options json.RawMessage, err error)
	ConfirmPasskey(ctx context.Context, c manage.Caller, as authenticators.PasskeySort, note string, answer seal.Secret, name string) (manage.Result, error)
}

// PasskeyAsk is what a page has for assets/passkey.js, which asks the browser and
// posts its answer as a form: there is no other script between a person and us.
type PasskeyAsk struct {
	Options     string // JSON for navigator.credentials
	Create      bool   // .create, not .get
	Conditional bool   // also among the suggestions of the e-mail field, from the start
	Challenge   string // sealed; goes back with the answer. "" within an attempt
	RenewIn     int    // seconds until the page asks for another; 0: never
	To          string // where the answer is posted
}

// PasskeyStep asks for a passkey as second authenticator. POST /signin/passkey or
// /fresh/passkey with answer.
type PasskeyStep struct {
	Form
	Email string
	Ways  Ways
	Fresh bool
	Ask   *PasskeyAsk // nil: the person has none that opens now
}

// PasskeyNew adds a passkey or a security key in the account. POST to its own
// address with answer.
type PasskeyNew struct {
	Form
	Sort string // "passkey" or "key", for the words
	Ask  *PasskeyAsk
}

func (p PasskeyStep) about() about { return door("passkey", p.failed()) }

func (p PasskeyNew) about() about {
	return about{template: "passkey-new", title: Say("passkeys.title-" + p.Sort), nav: "authenticators", failed: p.failed()}
}

func (s *Server) passkeyRoutes() []route {
	return []route{
		{anAPI, "POST", "/api/v1/signin/passkey-options", s.apiPasskeyOptions},
		{anAPI, "POST", "/api/v1/signin/passkey", s.apiPasskey},
		{anAPI, "POST", "/api/v1/signin/enrol-passkey", s.apiEnrolPasskey},
		{aPage, "GET", "/signin/passkey", s.stepPage(flow.Passkey)},
		{aPage, "POST", "/signin/passkey", s.passkey},
		{aPage, "GET", "/fresh/passkey", s.stepPage(flow.Passkey)},
		{aPage, "POST", "/fresh/passkey", s.freshPasskey},
		{aPage, "POST", "/signin/enrol/passkey", s.enrolPasskey},
		{aPage, "GET", "/account/authenticators/passkey", s.newPasskeyPage(authenticators.SortPasskey)},
		{aPage, "POST", "/account/authenticators/passkey", s.newPasskey(authenticators.SortPasskey)},
		{aPage, "GET", "/account/authenticators/key", s.newPasskeyPage(authenticators.SortSecurityKey)},
		{aPage, "POST", "/account/authenticators/key", s.newPasskey(authenticators.SortSecurityKey)},
	}
}

// askPasskey is what a page asks for a passkey with; nil when it asks for none. It
// never keeps a page from being shown: every page has another way.
func (r *Request) askPasskey(attempt string, who flow.Who) *PasskeyAsk {
	if r.server.Passkeys == nil {
		return nil
	}
	ask, err := r.server.Passkeys.Ask.PasskeyOptions(r.Context(), attempt, who)
	if err != nil {
		r.Note(slog.String("passkey_not_asked", string(fault.Of(err))))
	}
	if err != nil || ask.Options == nil {
		return nil
	}
	return &PasskeyAsk{Options: string(ask.Options), Challenge: ask.Challenge, Conditional: attempt == "",
		RenewIn: int(ask.RenewIn.Seconds()), To: "/signin/passkey"}
}

func (r *Request) askAfresh(attempt string) *PasskeyAsk {
	who, err := r.Who()
	if err != nil || attempt == "" {
		return nil
	}
	ask := r.askPasskey(attempt, who)
	if ask != nil {
		ask.To = "/fresh/passkey"
	}
	return ask
}

func (r *Request) passkeyView(v flow.View, f Form) (Page, error) {
	who, err := r.Who()
	if err != nil {
		return nil, err
	}
	page := PasskeyStep{Form: f, Email: v.Email, Ways: waysFrom(flow.Passkey, v), Fresh: v.Purpose == flow.Fresh, Ask: r.askPasskey(r.Attempt(), who)}
	if page.Ask != nil {
		page.Ask.To = pathOf(flow.Passkey, v.Purpose)
	}
	return page, nil
}

// Title is the catalogue key of what is set up.
func (p Enrol) Title() string {
	switch {
	case p.NoApp:
		return "enrol.title-passkey"
	case p.Passkey != nil:
		return "enrol.title-both"
	}
	return "enrol.title"
}

// offerPasskey adds to the page of an enrolment what policy lets be set up there.
func (r *Request) offerPasskey(page Enrol, out flow.Outcome) Enrol {
	page.NoApp = !offers(out.View, "totp")
	if !offers(out.View, "passkey") {
		return page
	}
	who, err := r.Who()
	if err != nil {
		return page
	}
	if page.Passkey = r.askPasskey(out.Attempt, who); page.Passkey != nil {
		page.Passkey.Create, page.Passkey.To = true, "/signin/enrol/passkey"
	}
	if page.Problem != nil && page.Problem.Code == fault.WrongPasskey {
		page.Problem.Field, page.Problem.Sentence = "", Say("passkeys.wrong")
	}
	return page
}

func offers(v flow.View, method string) bool {
	for _, m := range v.Offers {
		if string(m) == method {
			return true
		}
	}
	return len(v.Offers) == 0 && method == "totp"
}

// unknownPasskey is what tells the browser to forget a passkey that we do not know
// (Signal API, WebAuthn L3 §5.1.10.2).
func (r *Request) unknownPasskey(why *flow.Refusal) string {
	if why == nil || why.Hint != flow.HintUnknownPasskey || r.server.Passkeys == nil {
		return ""
	}
	handle, _, ok := authenticators.ShownBy(r.Secret(FieldAnswer))
	if !ok {
		return ""
	}
	return signal(map[string]any{"rpId": r.server.Passkeys.Rules.ID(), "credentialId": strings.TrimPrefix(handle, "passkey:")})
}

func signal(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// passkey takes a passkey: of somebody nobody knows yet, when its challenge comes
// with it, else as an answer to the question of the attempt.
func (s *Server) passkey(r *Request) error {
	challenge := r.form.Get(FieldChallenge)
	if challenge == "" {
		return r.step(flow.Passkey, flow.Input{Do: flow.ShowPasskey, Secret: r.Secret(FieldAnswer)})
	}
	out, err := r.submitNew(flow.Input{Do: flow.ShowPasskey, Challenge: challenge, Secret: r.Secret(FieldAnswer), Return: returnPath(r.Text(FieldReturn))})
	if fault.Of(err) == fault.AttemptExpired { // the page stood open: it comes back with another question
		out, err = flow.Outcome{Refusal: &flow.Refusal{Code: fault.AttemptExpired}}, nil
	}
	if err != nil {
		return err
	}
	if out.Refusal != nil {
		return r.signInRefused(out, r.Text(FieldEmail))
	}
	return r.goOn(out)
}

// freshPasskey takes a passkey in place of password and code, or after a password.
func (s *Server) freshPasskey(r *Request) error {
	if _, err := r.Session(); err != nil {
		return err
	}
	now, err := r.resume()
	if err != nil {
		return r.startAgain(err)
	}
	if now.Next != flow.Password {
		return s.passkey(r)
	}
	out, err := r.submit(flow.Input{Do: flow.ShowPasskey, Secret: r.Secret(FieldAnswer)})
	if err != nil {
		return r.startAgain(err)
	}
	if out.Refusal == nil {
		return r.goOn(out)
	}
	return r.freshRefused(out, "")
}

func (s *Server) enrolPasskey(r *Request) error {
	return r.step(flow.Enrol, flow.Input{Do: flow.EnrolPasskey, Secret: r.Secret(FieldAnswer), Name: r.passkeyName(authenticators.SortPasskey)})
}

// passkeyName is what a passkey is called at first, when its maker tells no model.
func (r *Request) passkeyName(as authenticators.PasskeySort) string {
	w := r.Words()
	device := w.Device(boundedAgent(r.HTTP.UserAgent()))
	switch {
	case as == authenticators.SortSecurityKey:
		return w.Say("passkeys.name-key")
	case device == "":
		return w.Say("passkeys.name-passkey-unknown")
	}
	return w.Say("passkeys.name-passkey", "device", device)
}

// wordOf is what the catalogue and the addresses call a sort.
func wordOf(as authenticators.PasskeySort) string {
	if as == authenticators.SortSecurityKey {
		return "key"
	}
	return "passkey"
}

func (s *Server) newPasskeyPage(as authenticators.PasskeySort) handler {
	return func(r *Request) error {
		m, err := r.freshMember()
		if err != nil {
			return err
		}
		page, err := r.passkeyNew(m, as, nil)
		if err != nil {
			return err
		}
		return r.Render(r.frame(m), page)
	}
}

func (r *Request) passkeyNew(m member, as authenticators.PasskeySort, why *fault.Refusal) (PasskeyNew, error) {
	if r.server.Passkeys == nil {
		return PasskeyNew{}, fault.New(fault.NotFound, nil)
	}
	note, options, err := r.server.Passkeys.Keep.BeginPasskey(r.Context(), m.caller, as)
	to := "/account/authenticators/" + wordOf(as)
	page := PasskeyNew{Form: Form{Attempt: note, Action: to, Problem: problem(why, "")}, Sort: wordOf(as),
		Ask: &PasskeyAsk{Options: string(options), Create: true, To: to}}
	if page.Problem != nil && why.Code == fault.WrongPasskey {
		page.Problem.Sentence = Say("passkeys.wrong")
	}
	return page, err
}

func (s *Server) newPasskey(as authenticators.PasskeySort) handler {
	return func(r *Request) error {
		m, err := r.freshMember()
		if err != nil {
			return err
		}
		if s.Passkeys == nil {
			return fault.New(fault.NotFound, nil)
		}
		res, err := s.Passkeys.Keep.ConfirmPasskey(r.Context(), m.caller, as, r.noteField(), r.Secret(FieldAnswer), r.passkeyName(as))
		if fault.Of(err) == fault.AttemptExpired {
			return r.Redirect("/account/authenticators/" + wordOf(as))
		}
		if err != nil {
			return err
		}
		if res.Refusal == nil {
			return r.changed(res, "/account/authenticators?done=added-"+wordOf(as))
		}
		page, err := r.passkeyNew(m, as, res.Refusal)
		if err != nil {
			return err
		}
		return r.RenderRefused(res.Refusal, r.frame(m), page)
	}
}

// --- for programs ---

// apiPasskey says what to ask an authenticator with; openapi.json: PasskeyAsk.
type apiPasskeyAsk struct {
	Options   json.RawMessage `json:"options"`
	Challenge string          `json:"challenge,omitempty"`
	Attempt   string          `json:"attempt,omitempty"`
	Device    string          `json:"device,omitempty"`
}

func (s *Server) apiPasskeyOptions(r *Request) error {
	f, err := r.readFields()
	if err != nil {
		return err
	}
	attempt := f.text("attempt")
	who, device, err := r.whoByField(f)
	if err != nil {
		return err
	}
	if s.Passkeys == nil {
		return fault.New(fault.NotFound, nil)
	}
	ask, err := s.Passkeys.Ask.PasskeyOptions(r.Context(), attempt, who)
	if err == nil && ask.Options == nil {
		err = fault.New(fault.NotFound, nil)
	}
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, apiPasskeyAsk{ask.Options, ask.Challenge, attempt, device})
}

func (s *Server) apiPasskey(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ShowPasskey, Secret: f.secret("answer"), Challenge: f.text("challenge")}
	})
}

func (s *Server) apiEnrolPasskey(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.EnrolPasskey, Secret: f.secret("answer"), Name: orElse(f.text("name"), r.passkeyName(authenticators.SortPasskey))}
	})
}

// --- for browsers and password managers ---

// passkeyEndpoints tells password managers where passkeys are made and managed
// (W3C "A Well-Known URL for Relying Party Passkey Endpoints").
func (s *Server) passkeyEndpoints(r *Request) error {
	if s.Passkeys == nil {
		return fault.New(fault.NotFound, nil)
	}
	return r.JSON(http.StatusOK, struct {
		Enroll string `json:"enroll"`
		Manage string `json:"manage"`
	}{s.Origin + "/account/authenticators/passkey", s.Origin + "/account/authenticators"})
}

// relatedOrigins tells browsers which other origins may use our passkeys (WebAuthn
// L3 §5.11).
func (s *Server) relatedOrigins(r *Request) error {
	if s.Passkeys == nil || len(s.Passkeys.Rules.Related()) == 0 {
		return fault.New(fault.NotFound, nil)
	}
	return r.JSON(http.StatusOK, struct {
		Origins []string `json:"origins"`
	}{append([]string{s.Origin}, s.Passkeys.Rules.Related()...)})
}
