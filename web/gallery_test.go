package web

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
)

// The gallery is every page in every state, with people who do not exist.
// GATEHOUSE_GALLERY=DIR go test ./web -run TestGallery keeps it to look at.

type picture struct {
	name  string
	frame Frame
	page  Page
	field string // the field that must be marked as wrong, "" for none
}

const (
	galleryKey = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	galleryURI = "otpauth://totp/Gatehouse:ana@harbour.example?secret=" + galleryKey + "&issuer=Gatehouse"
	longName   = "Wilhelmina-Friederike Donaudampfschifffahrtsgesellschaftskapitänswitwe"
	longEmail  = "wilhelmina.friederike.donaudampfschifffahrt@buchhaltungsdienstleistungen.example"
	longDevice = "Betriebssystemunabhängiger Internetnavigator on Unternehmensarbeitsplatzrechner"
)

var galleryNow = time.Date(2026, 11, 21, 9, 12, 3, 0, time.UTC)

func galleryZone(t testing.TB) *time.Location {
	zone, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func wrong(c fault.Code, field string) Form {
	return Form{Attempt: "0197", Return: "/account", Problem: &Problem{Code: c, Field: field}}
}

func pictures(t testing.TB) []picture {
	t.Helper()
	out := Frame{Now: galleryNow, Zone: galleryZone(t), Nonce: "abc", RequestID: "7KQ2-9F0C-41XW"}
	in := out
	in.Person = &Person{Name: "Ana Moreira", Email: "ana@harbour.example", Organisation: "Harbour Books", Console: true}
	in.Idle = &Idle{Until: galleryNow.Add(30 * time.Minute), Absolute: galleryNow.Add(12 * time.Hour), Warn: 2 * time.Minute}
	all := append(append(append(atTheDoor(out), inTheHouse(t, in)...), movingPictures(out, in)...), acceptPictures(in)...)
	all = append(all, phonePictures(out, in)...)
	all = append(all, tokenPictures(out, in)...)
	all = append(all, approvalPictures(t, out, in)...)
	return append(all, passkeyPictures(t, out, in)...)
}

func atTheDoor(out Frame) []picture {
	demo := out
	demo.Demo, demo.StatusURL = true, "https://status.harbour.example/api/v2/summary.json"
	demo.Languages = []Language{{Tag: "en", Name: "English"}, {Tag: "de", Name: "Deutsch", Href: "/signin?lang=de"}}
	limited := wrong(fault.TooManyTries, "")
	limited.Problem.RetryAfter = 14 * time.Minute
	behind := wrong(fault.WrongCode, FieldCode)
	behind.Problem.Hint = Say("totp.hint.behind", "n", 90)
	refused := wrong(fault.PasswordRefused, FieldPassword)
	refused.Problem.Reasons = []authenticators.Reason{{Key: authenticators.ReasonShort, N: 8}, {Key: authenticators.ReasonCommon}}
	modern, _ := authenticators.PolicyOf(authenticators.Modern, 0)
	legacy, _ := authenticators.PolicyOf(authenticators.Legacy, 0)
	noted := Form{Attempt: "0197", Note: Say("fault.attempt-expired")}
	codes := RecoveryCodes{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", MadeAt: galleryNow, Origin: "https://sign-in.harbour.example",
		Codes: []string{"7KQ2-9F0C-41XW-M3TB", "D5HN-2V8R-6PYA-0KQE", "3JXC-WT71-9GZM-H4SD", "Q8BR-5N0F-KV2E-XA6T", "M1YP-G7CD-3RHW-9Z4K",
			"0TAV-8SXJ-E2QN-5BFM", "R6KZ-4HGW-71CP-Y3DV", "9NEM-XQ5T-B0J8-2SRA", "W2FD-6YVK-P9M3-C7HX", "5GZB-1ART-QN4J-8EK0"}}
	unconfirmed := codes
	unconfirmed.Form = wrong(fault.ConfirmCodes, FieldConfirmed)
	enrol := Enrol{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Key: galleryKey, URI: galleryURI}
	enrolWrong := enrol
	enrolWrong.Form, enrolWrong.Name = wrong(fault.WrongCode, FieldCode), longName
	enrolNameless := enrol
	enrolNameless.Form = wrong(fault.BadRequest, FieldName)
	waits, busy, standby, failing := out, out, demo, out
	waits.Refresh, waits.Condition = "7; url=/signin", Condition{Busy: true, Since: galleryNow}
	busy.Condition = Condition{Busy: true}
	standby.Condition = Condition{Standby: true, Since: galleryNow.Add(-20 * time.Minute)}
	failing.Condition = Condition{SignInsFail: true, Standby: true, Busy: true, Since: galleryNow}
	p := []picture{
		{"waiting", waits, Waiting{After: 7 * time.Second, About: 40 * time.Second, To: "/signin"}, ""},
		{"waiting-long", waits, Waiting{After: 20 * time.Second, About: 12 * time.Minute, To: "/signin?return=%2Faccount%2Fhistory"}, ""},
		{"waiting-soon", failing, Waiting{After: 1600 * time.Millisecond, To: "/signin"}, ""},
		{"signin-busy", busy, SignIn{}, ""},
		{"signin-standby", standby, SignIn{Email: longEmail}, ""},
		{"signin-failing", failing, SignIn{Form: wrong(fault.WrongCredentials, FieldPassword)}, FieldPassword},
		{"busy-standby", standby, Oops{Code: fault.Unavailable, Sentence: Say("condition.change"), RetryAfter: 10 * time.Second, Retry: "/forgot"}, ""},
		{"signin", out, SignIn{}, ""},
		{"signin-filled", demo, SignIn{Form: noted, Email: longEmail}, ""},
		{"signin-wrong", out, SignIn{Form: wrong(fault.WrongCredentials, FieldPassword), Email: "ana@harbour.example"}, FieldPassword},
		{"signin-limited", out, SignIn{Form: limited, Email: "ana@harbour.example"}, ""},
		{"code", out, Code{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Ways: Ways{{"/signin/recovery", *Say("ways.recovery-code")}}}, ""},
		{"code-fresh", out, Code{Form: Form{Action: "/fresh/code"}, Email: longEmail, Ways: Ways{{"/fresh/recovery", *Say("ways.recovery-code")}}, Fresh: true}, ""},
		{"code-reset", out, Code{Form: Form{Attempt: "0197"}, Email: longEmail, Ways: Ways{{"/signin/recovery", *Say("ways.recovery-code")}}, Reset: true}, ""},
		{"code-behind", out, Code{Form: behind, Email: "ana@harbour.example", Ways: Ways{{"/signin/recovery", *Say("ways.recovery-code")}}}, FieldCode},
		{"recovery", out, Recovery{Email: "ana@harbour.example", Ways: Ways{{"/signin/code", *Say("ways.totp")}}}, ""},
		{"recovery-wrong", out, Recovery{Form: wrong(fault.WrongCode, FieldCode), Email: longEmail, Fresh: true}, FieldCode},
		{"new-password", out, NewPassword{Email: "ana@harbour.example", Policy: modern, First: true}, ""},
		{"new-password-expired", out, NewPassword{Email: "ana@harbour.example", Policy: legacy, Why: "expired"}, ""},
		{"new-password-refused", out, NewPassword{Form: refused, Email: longEmail, Policy: modern, Why: "compromised"}, FieldPassword},
		{"enrol", out, enrol, ""},
		{"enrol-wrong", out, enrolWrong, FieldCode},
		{"enrol-nameless", out, enrolNameless, FieldName},
		{"recovery-codes", out, codes, ""},
		{"recovery-codes-unconfirmed", out, unconfirmed, FieldConfirmed},
		{"forgot", out, Forgot{}, ""},
		{"forgot-wrong", out, Forgot{Form: wrong(fault.BadRequest, FieldEmail), Email: longEmail}, FieldEmail},
		{"unlock", out, Unlock{Email: "ana@harbour.example"}, ""},
		{"unlock-wrong", out, Unlock{Form: wrong(fault.BadRequest, FieldEmail)}, FieldEmail},
		{"fresh", out, Fresh{Form: Form{Return: "/account/password"}, Email: "ana@harbour.example"}, ""},
		{"fresh-wrong", out, Fresh{Form: wrong(fault.WrongCredentials, FieldPassword), Email: longEmail}, FieldPassword},
		{"signed-out", out, SignedOut{}, ""},
		{"oops", out, Oops{Code: fault.NotFound}, ""},
		{"oops-host", demo, Oops{Code: fault.WrongHost, Sentence: Say("fault.wrong-host.at", "origin", "https://sign-in.harbour.example"), Retry: "/signin"}, ""},
		{"busy", out, Oops{Code: fault.Unavailable, RetryAfter: 10 * time.Second, Retry: "/signin"}, ""},
	}
	for _, kind := range []LinkKind{LinkAny, LinkInvitation, LinkReset, LinkUnlock, LinkEnrol, LinkAddress} {
		p = append(p, picture{"link-" + string(kind), out, Link{Kind: kind}, ""},
			picture{"link-sent-" + string(kind), out, LinkSent{Kind: kind, Email: "ana@harbour.example", Minutes: 30, Resend: kind != LinkReset}, ""})
	}
	p = append(p, picture{"link-sent-nameless", out, LinkSent{Kind: LinkReset, Minutes: 30}, ""})
	return append(p, picture{"link-spent", out, Link{Form: wrong(fault.LinkSpent, ""), Kind: LinkAny}, ""})
}

func inTheHouse(t testing.TB, in Frame) []picture {
	stranger := in
	stranger.Person, stranger.Zone = &Person{Name: longName, Email: longEmail, Organisation: "Hafenbuchhaltungsgenossenschaft mbH"}, nil
	lisbon, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	stranger.Zone = lisbon
	var presets []authenticators.Policy
	for _, preset := range authenticators.Presets() {
		p, err := authenticators.PolicyOf(preset, 0)
		if err != nil {
			t.Fatal(err)
		}
		presets = append(presets, p)
	}
	expired := wrong(fault.PasswordRefused, FieldPassword)
	expired.Problem.Reasons = []authenticators.Reason{{Key: authenticators.ReasonReused, N: 4}}
	rename := wrong(fault.BadRequest, FieldName)
	rename.Problem.Item = "0197b"
	phones := []Authenticator{
		{ID: "0197a", Name: "Ana’s iPhone", MadeAt: galleryNow.AddDate(0, -3, -2), UsedAt: galleryNow.Add(-26 * time.Hour), Drift: -30 * time.Second},
		{ID: "0197b", Name: longName, MadeAt: galleryNow.Add(-time.Hour), Drift: 60 * time.Second},
	}
	places := []Session{
		{ID: "0197a", Device: "Firefox on Windows", Place: "Lisbon, Portugal", Network: "192.0.2.0/24", SignedInAt: galleryNow.Add(-3 * time.Hour), SeenAt: galleryNow, This: true},
		{ID: "0197b", Device: longDevice, Place: "Neubrandenburg, Mecklenburg-Vorpommern", Network: "2001:db8:1f3a:77::/64", SignedInAt: galleryNow.Add(-50 * time.Hour), SeenAt: galleryNow.Add(-9 * time.Hour)},
		{ID: "0197c", SignedInAt: galleryNow.Add(-90 * time.Hour), SeenAt: galleryNow.Add(-80 * time.Hour)},
	}
	log := []Happening{
		{At: galleryNow, What: *Say("event.signin.succeeded.password+totp"), Device: "Firefox on Windows", Place: "Lisbon, Portugal", Network: "192.0.2.0/24"},
		{At: galleryNow.Add(-time.Minute), What: *Say("event.signin.refused.wrong-code"), Device: longDevice, Refused: true},
		{At: galleryNow.Add(-time.Hour), What: *Say("event.code.refused.clock"), Why: Say("totp.hint.behind", "n", 90), Network: "2001:db8:1f3a:77::/64", Refused: true},
		{At: galleryNow.AddDate(0, -2, 0), What: *Say("event.signin.limited.name"), Refused: true},
		{At: galleryNow.AddDate(0, -5, 0), What: *Say("event.session.ended.signed-out"), Device: "Safari on iPhone"},
	}
	profile := Profile{Email: "ana@harbour.example", Name: "Ana Moreira", Zone: "Pacific/Auckland", Locales: []Language{{Tag: "en", Name: "English"}},
		PasswordAt: galleryNow.AddDate(0, -8, 0), Authenticators: 2, CodesLeft: 7, Sessions: 3}
	poor := Profile{Form: wrong(fault.BadRequest, FieldZone), Email: longEmail, Zone: "Asia/Calcutta", PasswordExpiry: galleryNow, CodesLeft: 1, Authenticators: 1, Sessions: 1}
	nameless, tongueless := profile, profile
	nameless.Form, tongueless.Form = wrong(fault.BadRequest, FieldName), wrong(fault.BadRequest, FieldLocale)
	for _, form := range []Form{nameless.Form, tongueless.Form, poor.Form} {
		form.Problem.Sentence = Say("profile.bad-" + form.Problem.Field)
	}
	tongueless.Locale = "en"
	onStandby := in
	onStandby.Condition = Condition{Standby: true, Since: galleryNow}
	p := []picture{
		{"profile", in, profile, ""},
		{"profile-poor", stranger, poor, FieldZone},
		{"profile-nameless", in, nameless, FieldName},
		{"profile-tongueless", in, tongueless, FieldLocale},
		{"password", in, PasswordChange{Email: "ana@harbour.example", SetAt: galleryNow.AddDate(-1, 0, 0), Policy: presets[0]}, ""},
		{"password-refused", stranger, PasswordChange{Form: expired, Email: longEmail, Policy: presets[1]}, FieldPassword},
		{"authenticators", in, Authenticators{Items: phones}, ""},
		{"authenticators-one", in, Authenticators{Items: phones[:1]}, ""},
		{"authenticators-none", in, Authenticators{}, ""},
		{"authenticators-rename", stranger, Authenticators{Form: rename, Items: phones}, FieldName + "-0197b"},
		{"authenticators-last", in, Authenticators{Form: wrong(fault.LastAuthenticator, ""), Items: phones[:1]}, ""},
		{"authenticators-add", in, Enrol{Email: "ana@harbour.example", Key: galleryKey, URI: galleryURI, Name: "Office tablet", Account: true}, ""},
		{"codes", in, CodesLeft{Left: 7, Of: 10, MadeAt: galleryNow}, ""},
		{"codes-few", stranger, CodesLeft{Left: 1, Of: 10, MadeAt: galleryNow}, ""},
		{"codes-none", in, CodesLeft{}, ""},
		{"codes-new", in, RecoveryCodes{Email: "ana@harbour.example", Codes: []string{"7KQ2-9F0C-41XW-M3TB", "D5HN-2V8R-6PYA-0KQE"}, MadeAt: galleryNow, Account: true}, ""},
		{"sessions", in, Sessions{Items: places}, ""},
		{"sessions-one", stranger, Sessions{Items: places[:1]}, ""},
		{"sessions-gone", in, Sessions{Form: wrong(fault.Conflict, ""), Items: places}, ""},
		{"history", in, History{Items: log, Older: "/account/history?before=17"}, ""},
		{"history-long", stranger, History{Items: log[1:3]}, ""},
		{"history-none", in, History{}, ""},
		{"address", in, AddressChange{Email: "ana@harbour.example", Pending: longEmail}, ""},
		{"address-wrong", stranger, AddressChange{Form: wrong(fault.BadRequest, FieldEmail), Email: longEmail, New: "ana"}, FieldEmail},
		{"profile-standby", onStandby, profile, ""},
		{"policy", in, PolicyPresets{Current: authenticators.Modern, Presets: presets}, ""},
		{"policy-legacy", in, PolicyPresets{Current: authenticators.Legacy, Presets: presets}, ""},
		{"oops-inside", in, Oops{Code: fault.Forbidden}, ""},
	}
	for name := range done {
		told := in
		told.Done = Done(name)
		p = append(p, picture{"done-" + name, told, CodesLeft{Left: 10, Of: 10, MadeAt: galleryNow}, ""})
	}
	return p
}

func galleryPages(t testing.TB) *Pages {
	t.Helper()
	p, err := NewPages(func(name string) string { return "assets/" + name })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shown(t testing.TB, p *Pages, pic picture) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b, pic.frame, pic.page); err != nil {
		t.Fatalf("%s: %v", pic.name, err)
	}
	return b.String()
}

// germanLike makes every sentence a third longer and its words long, as a
// translation would: "Password" becomes "Passwordpassword".
func germanLike(_, text string) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		if i%3 == 0 && len(w) > 5 && !strings.ContainsAny(w, "{}.,/@%:-") {
			words[i] = w + strings.ToLower(w)
		}
	}
	return strings.Join(words, " ")
}

func TestGallery(t *testing.T) {
	dir := os.Getenv("GATEHOUSE_GALLERY")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.CopyFS(filepath.Join(dir, "assets"), os.DirFS("assets")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	plain, long := galleryPages(t), galleryPages(t)
	long.voice = germanLike
	for _, pic := range pictures(t) {
		for name, page := range map[string]string{pic.name: shown(t, plain, pic), "long-" + pic.name: shown(t, long, pic)} {
			if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
