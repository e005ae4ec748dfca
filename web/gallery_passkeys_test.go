package web

import (
	"testing"
	"time"

	"gatehouse/fault"
)

// passkeyPictures are the pages with a passkey on them, in every state.
func passkeyPictures(t testing.TB, out, in Frame) []picture {
	t.Helper()
	ask := &PasskeyAsk{Options: `{"challenge":"a1fyY7ZgS0bM0b8sCCOjwPzvdZS5Qm0qRr6pT1c8yKo"}`, To: "/signin/passkey", Challenge: "sealed", RenewIn: 480, Conditional: true}
	asked, made := *ask, *ask
	asked.Challenge, asked.RenewIn, asked.Conditional = "", 0, false
	made.Create, made.To = true, "/account/authenticators/passkey"
	wrongKey := func(hint string) Form {
		f := wrong(fault.WrongPasskey, "")
		f.Problem.Hint = Say("passkey.hint." + hint)
		return f
	}
	remembers := Form{Attempt: "0197", Remember: 30 * 24 * time.Hour}
	enrol := Enrol{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Key: galleryKey, URI: galleryURI, Passkey: &made}
	enrolOnly := enrol
	enrolOnly.NoApp, enrolOnly.Form = true, wrongKey("model")
	enrolOnly.Problem.Sentence = Say("passkeys.wrong")
	notAdded := wrongKey("known")
	notAdded.Problem.Sentence = Say("passkeys.wrong")
	all := []picture{
		{"signin-passkey", out, SignIn{Passkey: ask}, ""},
		{"signin-passkey-wrong", out, SignIn{Form: wrongKey("verify"), Email: longEmail, Passkey: ask}, ""},
		{"signin-passkey-unknown", out, SignIn{Form: wrongKey("unknown"), Passkey: ask, Forget: `{"rpId":"harbour.example","credentialId":"AAAA"}`}, ""},
		{"passkey", out, PasskeyStep{Form: remembers, Email: "ana@harbour.example", Ways: Ways{{"/signin/code", *Say("ways.totp")}}, Ask: &asked}, ""},
		{"passkey-fresh", out, PasskeyStep{Email: longEmail, Ways: Ways{{"/fresh/recovery", *Say("ways.recovery-code")}}, Ask: &asked, Fresh: true}, ""},
		{"passkey-wrong", out, PasskeyStep{Form: wrongKey("cloned"), Email: longEmail, Ask: &asked}, ""},
		{"passkey-none", out, PasskeyStep{Email: "ana@harbour.example", Ways: Ways{{"/signin/code", *Say("ways.totp")}}}, ""},
		{"fresh-passkey", out, Fresh{Email: "ana@harbour.example", Passkey: &asked}, ""},
		{"enrol-passkey", out, enrol, ""},
		{"enrol-passkey-only", out, enrolOnly, ""},
		{"passkey-new", in, PasskeyNew{Sort: "passkey", Ask: &made}, ""},
		{"key-new", in, PasskeyNew{Sort: "key", Ask: &made}, ""},
		{"passkey-new-wrong", in, PasskeyNew{Form: notAdded, Sort: "passkey", Ask: &made}, ""},
		{"authenticators-all", in, everyKind(), ""},
	}
	for _, hint := range []string{"again", "address", "framed", "other", "touch", "failed"} {
		all = append(all, picture{"signin-passkey-" + hint, out, SignIn{Form: wrongKey(hint), Passkey: ask}, ""})
	}
	return all
}

// everyKind is a list with one of each, as nobody has it.
func everyKind() Authenticators {
	day := galleryNow.AddDate(0, -1, 0)
	kept := func(how string) []Fact {
		return []Fact{{*Say("authenticators.kept"), *Say("authenticators.kept-" + how)}}
	}
	page := Authenticators{Moving: true, Signal: "{}", Items: []Authenticator{
		{ID: "0197a", Kind: "app", Name: "Ana’s iPhone", MadeAt: day, UsedAt: galleryNow, Drift: -30 * time.Second},
		{ID: "0197b", Kind: "passkey", Name: "iCloud Keychain", MadeAt: day, UsedAt: galleryNow, Facts: kept("synced")},
		{ID: "0197c", Kind: "passkey", Name: longName, MadeAt: day, Facts: kept("could")},
		{ID: "0197d", Kind: "key", Name: "Security key", MadeAt: day, Facts: append(kept("one"), Fact{*Say("authenticators.model"), *Say("authenticators.model-is", "model", "YubiKey 5 Series")})},
		{ID: "0197e", Kind: "key", Name: "Old key", MadeAt: day, Facts: kept("one"), Off: Say("authenticators.cloned-why"), Why: "cloned"},
		{ID: "0197f", Kind: "push", Name: "Ana’s phone", MadeAt: day},
		{ID: "01970", Kind: "hotp", Name: "Token 4711", MadeAt: day, Off: Say("authenticators.off"), Why: "ended"},
		{ID: "01971", Kind: "phone", Name: "+351 *** *** 567", MadeAt: day},
		{ID: "01972", Kind: "phone", Name: "+351 *** *** 842", MadeAt: day, Off: Say("phones.held-why"), Why: "held"},
	}}
	for _, a := range adds {
		page.Adds = append(page.Adds, a.Add)
	}
	return page
}
