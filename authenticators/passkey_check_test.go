package authenticators

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"gatehouse/authenticators/softkey"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/words"
)

// gotRow is one way to spoil a sign-in, and the reason it must be refused for.
type gotRow struct {
	name  string
	why   string
	as    PasskeySort // as what the passkey was added; "" is a passkey
	weak  bool        // verification of the holder is not demanded
	alone bool        // nobody said before who they are
	key   func(*softkey.Key)
	then  func(*softkey.Key)                          // what became of the key after it was added
	kept  func(t *testing.T, c Credential) Credential // what became of what is kept
	spoil softkey.Spoil
}

func (r gotRow) row() string { return r.name }

// elsewhereGot are rows of §7.2 that need a database, by the name of their test.
var elsewhereGot = []string{
	"22: the signature counter goes up (TestTheCounterOnlyGoesUp)",
	"24: the record is kept up to date (TestAnAcceptedPasskeyIsKeptUpToDate)",
	"25: all of it, or nobody is let in (TestOneAssertionOpensOnce)",
}

func keeping(change func(*Credential)) func(*testing.T, Credential) Credential {
	return func(_ *testing.T, c Credential) Credential { change(&c); return c }
}

func facts(change func(*PasskeyFacts)) func(*testing.T, Credential) Credential {
	return func(t *testing.T, c Credential) Credential { return withFacts(t, c, change) }
}

var gotRows = []gotRow{
	{name: "3: the response is that of an authentication: a registration is none", why: badAnswer,
		spoil: reply(func(_, r map[string]any) {
			delete(r, "signature")
			delete(r, "authenticatorData")
			r["attestationObject"] = "AAAA"
		})},
	{name: "3: the response is that of an authentication: of no public key", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["type"] = "password" })},
	{name: "3: the response is that of an authentication: cut off", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func(b []byte) []byte { return b[:len(b)-2] }}},
	{name: "3: the response is that of an authentication: two of them", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func(b []byte) []byte { return append(b, b...) }}},
	{name: "3: the response is that of an authentication: of more than 64 KiB", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), maxAnswer)...) }}},
	{name: "4: the client's extension outputs are read: a text", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["clientExtensionResults"] = "none" })},
	{name: "5: the credential is one of those allowed: an unknown one", why: badUnknown,
		spoil: reply(func(a, _ map[string]any) { a["id"], a["rawId"] = "AAAA", "AAAA" })},
	{name: "5: the credential is one of those allowed: it was removed", why: badUnknown, kept: keeping(func(c *Credential) { c.Handle = "passkey:AAAA" })},
	{name: "5: the credential is one of those allowed: of another kind with that handle", why: badUnknown, kept: keeping(func(c *Credential) { c.Kind = KindPush })},
	{name: "5: the credential is one of those allowed: it was copied", why: badState, kept: keeping(func(c *Credential) { c.State = StateCloned })},
	{name: "5: the credential is one of those allowed: it waits", why: badState, kept: keeping(func(c *Credential) { c.State = StateWaiting })},
	{name: "5: the credential is one of those allowed: it is not usable yet", why: badState, kept: keeping(func(c *Credential) { c.UsableAt = noon.Add(time.Second) })},
	{name: "5: the credential is one of those allowed: it is over", why: badState, kept: keeping(func(c *Credential) { c.ExpiresAt = noon })},
	{name: "5: the credential is one of those allowed: id and rawId differ", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["id"] = "AAAA" })},
	{name: "6: the user is the owner: the user handle is another's", why: badUser,
		spoil: reply(func(_, r map[string]any) { r["userHandle"] = UserHandle(ben) })},
	{name: "6: the user is the owner: the credential belongs to another", why: badUser, kept: keeping(func(c *Credential) { c.Account = other })},
	{name: "6: the user is the owner: a user handle that is cut off", why: badUser,
		spoil: reply(func(_, r map[string]any) { r["userHandle"] = UserHandle(ana)[:8] })},
	{name: "6: the user is the owner: none is given by a key that is not discoverable", why: "", weak: true, as: SortSecurityKey},
	{name: "6: the user is the owner: none is given, and nobody was named before", why: badUser, alone: true,
		spoil: reply(func(_, r map[string]any) { delete(r, "userHandle") })},
	{name: "6: the user is the owner: it is given, and nobody was named before", why: "", alone: true},
	{name: "6: the user is the owner: null is none", why: "", spoil: reply(func(_, r map[string]any) { r["userHandle"] = nil })},
	{name: "7: client data, authenticator data and signature are there: no signature", why: badAnswer,
		spoil: softkey.Spoil{Signature: func([]byte) []byte { return nil }}},
	{name: "7: client data, authenticator data and signature are there: no authenticator data", why: badAnswer,
		spoil: reply(func(_, r map[string]any) { delete(r, "authenticatorData") })},
	{name: "7: client data, authenticator data and signature are there: no client data", why: badAnswer,
		spoil: reply(func(_, r map[string]any) { delete(r, "clientDataJSON") })},
	{name: "7: client data, authenticator data and signature are there: cut off", why: badAnswer,
		spoil: softkey.Spoil{Data: func(b []byte) []byte { return b[:36] }}},
	{name: "7: client data, authenticator data and signature are there: with something after it", why: badAnswer,
		spoil: softkey.Spoil{Data: func(b []byte) []byte { return append(b, 0) }}},
	{name: "7: client data, authenticator data and signature are there: base64, not base64url", why: badAnswer,
		spoil: reply(func(_, r map[string]any) { r["signature"] = r["signature"].(string) + "==" })},
	{name: "8: the client data is UTF-8: a byte order mark is stripped", why: "",
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) }}},
	{name: "8: the client data is UTF-8: UTF-16 is not", why: badAnswer,
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte("\x00\"")) }}},
	{name: "9: the client data is JSON: cut off", why: badAnswer,
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return b[:len(b)-1] }}},
	{name: "9: the client data is JSON: of more than 8 KiB", why: badAnswer, spoil: setting("extra", strings.Repeat("x", maxClientData))},
	{name: "9: the client data is JSON: keys nobody knows are passed over", why: "", spoil: setting("other_keys_can_be_added_here", "as Chromium does")},
	{name: "10: type is webauthn.get: not webauthn.create", why: badType, spoil: setting("type", "webauthn.create")},
	{name: "10: type is webauthn.get: not payment.get", why: badType, spoil: setting("type", "payment.get")},
	{name: "11: the challenge is ours: another", why: badChallenge, spoil: setting("challenge", b64url([]byte("another question, and 32 b as is")))},
	{name: "11: the challenge is ours: none", why: badChallenge, spoil: setting("challenge", "")},
	{name: "11: the challenge is ours: in another spelling", why: badChallenge, spoil: setting("challenge", b64url(question)+"=")},
	{name: "12: the origin is expected: a look-alike", why: badOrigin, spoil: setting("origin", evilOrigin)},
	{name: "12: the origin is expected: http", why: badOrigin, spoil: setting("origin", "http://id.example.org")},
	{name: "12: the origin is expected: another port", why: badOrigin, spoil: setting("origin", homeOrigin+":8443")},
	{name: "12: the origin is expected: with a slash", why: badOrigin, spoil: setting("origin", homeOrigin+"/")},
	{name: "12: the origin is expected: a related one is", why: "", spoil: setting("origin", kinOrigin)},
	{name: "13: crossOrigin is expected: never", why: badFrame, spoil: setting("crossOrigin", true)},
	{name: "14: topOrigin is expected: never", why: badFrame, spoil: setting("topOrigin", homeOrigin)},
	{name: "15: rpIdHash is that of the RP ID: another domain", why: badDomain, spoil: auth(func(a *softkey.AuthData) { a.Domain = "evil.test" })},
	{name: "16: UP is set: it is not", why: badPresence, spoil: auth(flagged(0, softkey.UP))},
	{name: "16: UP is set: nor where verification is not demanded", why: badPresence, weak: true, spoil: auth(flagged(0, softkey.UP))},
	{name: "17: UV is set when it is required: it is not", why: badVerification, spoil: auth(flagged(0, softkey.UV))},
	{name: "17: UV is set when it is required: where it is not, a touch will do", why: "", weak: true, spoil: auth(flagged(0, softkey.UV))},
	{name: "17: UV is set when it is required: by a key that did not verify when it was added", why: badUnverified, as: SortSecurityKey,
		key: func(k *softkey.Key) { k.Verifies = false }, then: func(k *softkey.Key) { k.Verifies = true }},
	{name: "18: BS is not set without BE: backed up and cannot be", why: badBackup, spoil: auth(flagged(softkey.BS, softkey.BE))},
	{name: "19: BE is as it was: it could not be backed up, and can", why: badEligibility, spoil: auth(flagged(softkey.BE, 0))},
	{name: "19: BE is as it was: it could be backed up, and cannot", why: badEligibility, kept: facts(func(f *PasskeyFacts) { f.BackupEligible = true })},
	{name: "19: BE is as it was: a backup that is gone is no matter", why: "",
		key: func(k *softkey.Key) { k.BackupEligible, k.BackedUp = true, true }, then: func(k *softkey.Key) { k.BackedUp = false }},
	{name: "20: the hash is over the client data as it came: another spelling of the same", why: badSignature,
		spoil: reply(func(_, r map[string]any) {
			r["clientDataJSON"] = b64url([]byte(`{"challenge":"` + b64url(question) + `","type":"webauthn.get","origin":"` + homeOrigin + `"}`))
		})},
	{name: "21: the signature is the key's: a bit of it is another", why: badSignature, spoil: softkey.Spoil{Signature: flip}},
	{name: "21: the signature is the key's: with something after it", why: badSignature,
		spoil: softkey.Spoil{Signature: func(s []byte) []byte { return append(s, 0) }}},
	{name: "21: the signature is the key's: of other authenticator data", why: badSignature,
		spoil: reply(func(_, r map[string]any) { r["authenticatorData"] = withCount(r["authenticatorData"].(string)) })},
	{name: "21: the signature is the key's: another key's", why: badSignature, kept: otherKey},
	{name: "21: the signature is the key's: what is kept is no key", why: badSignature, kept: facts(func(f *PasskeyFacts) { f.Key = []byte{1} })},
	{name: "21: the signature is the key's: by ES256", why: ""},
	{name: "21: the signature is the key's: by EdDSA", why: "", key: func(k *softkey.Key) { k.Alg = softkey.EdDSA }},
	{name: "21: the signature is the key's: by RS256", why: "", key: func(k *softkey.Key) { k.Alg = softkey.RS256 }},
	{name: "21: the signature is the key's: by EdDSA, a bit of it another", why: badSignature,
		key: func(k *softkey.Key) { k.Alg = softkey.EdDSA }, spoil: softkey.Spoil{Signature: flip}},
	{name: "21: the signature is the key's: by RS256, a bit of it another", why: badSignature,
		key: func(k *softkey.Key) { k.Alg = softkey.RS256 }, spoil: softkey.Spoil{Signature: flip}},
	{name: "23: extension outputs are processed: what was not asked for is passed over", why: "",
		spoil: softkey.Spoil{Auth: func(a *softkey.AuthData) {
			a.Flags |= softkey.ED
			a.Extensions = softkey.CBOR(map[string]any{"hmac-secret": []byte{1}})
		}, Answer: func(a, _ map[string]any) { a["clientExtensionResults"] = map[string]any{"prf": map[string]any{}} }}},
	{name: "23: extension outputs are processed: appid makes no other domain right", why: badDomain,
		spoil: softkey.Spoil{Auth: func(a *softkey.AuthData) { a.Domain = "https://id.example.org/appid.json" },
			Answer: func(a, _ map[string]any) { a["clientExtensionResults"] = map[string]any{"appid": true} }}},
	{name: "23: extension outputs are processed: no CBOR", why: badAnswer,
		spoil: auth(func(a *softkey.AuthData) { a.Flags |= softkey.ED; a.Extensions = []byte{0xff} })},
}

// withCount changes the counter of authenticator data that is signed already.
func withCount(data string) string {
	var b bytesJSON
	if err := b.UnmarshalJSON([]byte(`"` + data + `"`)); err != nil {
		panic(err)
	}
	b[36]++
	return b64url(b)
}

// otherKey puts another passkey's key in the place of the right one.
func otherKey(t *testing.T, c Credential) Credential {
	f, err := PasskeyOf(made(t, relying(t, nil), newKey(), SortPasskey))
	if err != nil {
		t.Fatal(err)
	}
	return withFacts(t, c, func(into *PasskeyFacts) { into.Key = f.Key })
}

func TestAnAssertionIsJudgedByTheStandard(t *testing.T) {
	for _, row := range gotRows {
		t.Run(row.name, func(t *testing.T) {
			r, k := relying(t, nil), newKey()
			if row.key != nil {
				row.key(k)
			}
			as := row.as
			if as == "" {
				as = SortPasskey
			}
			c := made(t, r, k, as)
			if row.then != nil {
				row.then(k)
			}
			answer := got(t, r, k, []Credential{c}, !row.weak, row.spoil)
			if row.kept != nil {
				c = row.kept(t, c)
			}
			v, err := passkeyChecker{r}.Check(t.Context(), Kept{Account: ana, Credentials: []Credential{c}},
				Shown{Secret: answer, Challenge: question, Verified: !row.weak, Alone: row.alone, Now: noon})
			if err != nil {
				t.Fatal(err)
			}
			if v.Hint.Reason != row.why || v.OK != (row.why == "") {
				t.Fatalf("ok %v because of %q, want %q", v.OK, v.Hint.Reason, row.why)
			}
			if !v.OK && (v.Proof != proof.Proof{} || v.Used != proof.Proof{} || v.Hint.Key == "") {
				t.Errorf("refused, and yet: %+v", v)
			}
		})
	}
}

func TestWhatAnAssertionProves(t *testing.T) {
	for _, row := range []struct {
		name            string
		as              PasskeySort
		key             func(*softkey.Key)
		then            func(*softkey.Key)
		verified, bound bool
		step, drift     int64
	}{
		{"a passkey that verified its holder", SortPasskey, nil, nil, true, true, 0, 0},
		{"one that is synced", SortPasskey, func(k *softkey.Key) { k.BackupEligible, k.BackedUp = true, true }, nil, true, false, 0, 1},
		{"one that could be synced, and is not yet", SortPasskey, func(k *softkey.Key) { k.BackupEligible = true }, nil, true, false, 0, 0},
		{"a security key that was touched", SortSecurityKey, func(k *softkey.Key) { k.Verifies, k.Counts = false, true }, nil, false, true, 1, 0},
		{"a security key that was given a PIN later, by whom nobody knows", SortSecurityKey,
			func(k *softkey.Key) { k.Verifies = false }, func(k *softkey.Key) { k.Verifies = true }, false, true, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, k := relying(t, nil), newKey()
			if row.key != nil {
				row.key(k)
			}
			c := made(t, r, k, row.as)
			if row.then != nil {
				row.then(k)
			}
			spoil := softkey.Spoil{}
			if k.Verifies {
				spoil = auth(flagged(softkey.UV, 0)) // even unasked
			}
			v := judged(t, r, got(t, r, k, []Credential{c}, false, spoil), false, c)
			p := v.Proof
			if !v.OK || p.Method != proof.Passkey || p.Authenticator != "p1" || p.Version != 1 || !p.At.Equal(noon) {
				t.Fatalf("%+v", v)
			}
			if p.Verified != row.verified || p.Bound != row.bound || p.Attested || p.Step != row.step || p.Drift != row.drift {
				t.Errorf("%+v", p)
			}
		})
	}
}

// Each of the dangers has a reason of its own in the log. What people are told is
// one of a few sentences, and none says more than their own browser knows.
func TestEveryReasonIsToldNeutrally(t *testing.T) {
	all := []string{badAnswer, badType, badChallenge, badOrigin, badFrame, badDomain, badPresence, badVerification, badBackup, badAlgorithm, badLength,
		badStatement, badModel, badRevoked, badUnknown, badState, badUser, badEligibility, badSignature, badUnverified}
	seen := map[string]bool{}
	for _, why := range all {
		h := hintFor(why)
		if h.Reason != why || seen[why] {
			t.Errorf("%q is no reason of its own", why)
		}
		seen[why] = true
	}
	if a, b, c := hintFor(badUnknown).Key, hintFor(badUser).Key, hintFor(badState).Key; a != b || b != c {
		t.Errorf("whether a passkey is somebody else's can be told apart: %s %s %s", a, b, c)
	}
	english := words.For("en")
	for _, why := range all {
		if !english.Has(hintFor(why).Key) {
			t.Errorf("%s has no words", hintFor(why).Key)
		}
	}
	for _, why := range []string{badSignature, badDomain, badType, badEligibility, badBackup} {
		if hintFor(why).Key != HintPasskeyFailed {
			t.Errorf("%s is told", why)
		}
	}
}

func TestNobodysPasskeyNeverOpens(t *testing.T) {
	r, k := relying(t, nil), newKey()
	c := made(t, r, k, SortPasskey)
	s := (&Set{checkers: map[proof.Method]Checker{}}).WithPasskeys(r)
	v, err := s.Check(t.Context(), proof.Passkey, Kept{Account: ana, Decoy: true, Credentials: []Credential{c}},
		Shown{Secret: got(t, r, k, nil, true, softkey.Spoil{}), Challenge: question, Verified: true, Now: noon})
	if err != nil || v.OK {
		t.Errorf("%+v %v", v, err)
	}
}

func TestShownBySaysWhoAnAnswerClaimsToBe(t *testing.T) {
	r, k := relying(t, nil), newKey()
	c := made(t, r, k, SortPasskey)
	for _, row := range []struct {
		name    string
		spoil   softkey.Spoil
		handle  string
		account id.Account
		ok      bool
	}{
		{"as it is", softkey.Spoil{}, c.Handle, ana, true},
		{"without a user handle", reply(func(_, r map[string]any) { delete(r, "userHandle") }), c.Handle, "", true},
		{"with a user handle of another form", reply(func(_, r map[string]any) { r["userHandle"] = "AAAA" }), c.Handle, "", true},
		{"with no id", reply(func(a, _ map[string]any) { delete(a, "id") }), "", "", false},
		{"with an id of 1024 bytes", reply(func(a, _ map[string]any) {
			a["id"] = strings.Repeat("A", 1366)
			a["rawId"] = a["id"]
		}), "", "", false},
		{"broken", softkey.Spoil{Bytes: func([]byte) []byte { return []byte("{") }}, "", "", false},
	} {
		handle, account, ok := ShownBy(got(t, r, k, nil, true, row.spoil))
		if handle != row.handle || account != row.account || ok != row.ok {
			t.Errorf("%s: %q %q %v", row.name, handle, account, ok)
		}
	}
}

func BenchmarkPasskeyCheck(b *testing.B) {
	for name, alg := range map[string]int{"ES256": softkey.ES256, "EdDSA": softkey.EdDSA, "RS256": softkey.RS256} {
		b.Run(name, func(b *testing.B) {
			r, k := relying(b, nil), newKey()
			k.Alg = alg
			kept := Kept{Account: ana, Credentials: []Credential{made(b, r, k, SortPasskey)}}
			shown := Shown{Secret: got(b, r, k, nil, true, softkey.Spoil{}), Challenge: question, Verified: true, Now: noon}
			for b.Loop() {
				if v, err := (passkeyChecker{r}).Check(b.Context(), kept, shown); err != nil || !v.OK {
					b.Fatal(v, err)
				}
			}
		})
	}
}
