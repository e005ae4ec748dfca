package authenticators

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"gatehouse/authenticators/softkey"
	"gatehouse/seal"
)

// newRow is one way to spoil a registration, and the reason it must be refused
// for; "" is for a row that must be taken.
type newRow struct {
	name  string
	why   string
	as    PasskeySort // "" is a passkey
	key   func(*softkey.Key)
	spoil softkey.Spoil
}

func (r newRow) row() string { return r.name }

// elsewhereNew are rows of §7.1 that need a database or a policy, by the name of
// the test that has them.
var elsewhereNew = []string{
	"23: trust anchors are those of policy (TestAttestationByPolicy)",
	"24: the attestation is trustworthy under policy (TestAttestationByPolicy)",
	"26: the credential id is nobody's yet (TestACredentialIsRegisteredOnce)",
	"27: the record has what the standard names (TestWhatIsKeptOfANewPasskey)",
}

func client(change func(c map[string]any)) softkey.Spoil { return softkey.Spoil{Client: change} }

func setting(key string, value any) softkey.Spoil {
	return client(func(c map[string]any) { c[key] = value })
}

func auth(change func(*softkey.AuthData)) softkey.Spoil { return softkey.Spoil{Auth: change} }

func reply(change func(answer, response map[string]any)) softkey.Spoil {
	return softkey.Spoil{Answer: change}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func attesting(format string) func(*softkey.Key) {
	return func(k *softkey.Key) { k.Format, k.AlwaysAttests = format, true }
}

// made by a maker whose certificates name a model.
func vouching(format string, model byte) func(*softkey.Key) {
	return func(k *softkey.Key) {
		k.Format, k.AlwaysAttests, k.Maker, k.AAGUID = format, true, testMaker(), [16]byte{0: model}
	}
}

var newRows = []newRow{
	{name: "3: the response is that of a registration: an assertion is none", why: badAnswer,
		spoil: reply(func(_, r map[string]any) { delete(r, "attestationObject"); r["signature"] = "AAAA" })},
	{name: "3: the response is that of a registration: of no public key", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["type"] = "password" })},
	{name: "3: the response is that of a registration: no response at all", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["response"] = nil })},
	{name: "3: the response is that of a registration: id and rawId differ", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["id"] = "AAAA" })},
	{name: "3: the response is that of a registration: another id than the authenticator's", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["id"], a["rawId"] = "AAAA", "AAAA" })},
	{name: "3: the response is that of a registration: no id", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["id"], a["rawId"] = "", "" })},
	{name: "3: the response is that of a registration: cut off", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func(b []byte) []byte { return b[:len(b)-1] }}},
	{name: "3: the response is that of a registration: followed by another", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func(b []byte) []byte { return append(b, b...) }}},
	{name: "3: the response is that of a registration: of more than 64 KiB", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), maxAnswer)...) }}},
	{name: "3: the response is that of a registration: empty", why: badAnswer,
		spoil: softkey.Spoil{Bytes: func([]byte) []byte { return nil }}},
	{name: "3: the response is that of a registration: base64 with padding", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["id"] = a["id"].(string) + "=" })},
	{name: "3: the response is that of a registration: base64 over two lines", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["id"] = a["id"].(string)[:4] + "\n" + a["id"].(string)[4:] })},
	{name: "3: the response is that of a registration: base64 with bits left over", why: badAnswer, spoil: reply(func(a, _ map[string]any) {
		given := a["id"].(string) // 43 letters for 32 bytes: the last two bits say nothing
		a["id"] = given[:42] + string(rune(given[42]+1))
	})},
	{name: "4: the client's extension outputs are read: credProps of the wrong type", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) {
			a["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": "yes"}}
		})},
	{name: "4: the client's extension outputs are read: a list", why: badAnswer,
		spoil: reply(func(a, _ map[string]any) { a["clientExtensionResults"] = []any{} })},
	{name: "5: the client data is UTF-8: a byte order mark is stripped", why: "",
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) }}},
	{name: "5: the client data is UTF-8: UTF-16 is not", why: badAnswer,
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte("\x00\"")) }}},
	{name: "6: the client data is JSON: cut off", why: badAnswer,
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return b[:len(b)/2] }}},
	{name: "6: the client data is JSON: with something after it", why: badAnswer,
		spoil: softkey.Spoil{Text: func(b []byte) []byte { return append(b, '{') }}},
	{name: "6: the client data is JSON: of more than 8 KiB", why: badAnswer,
		spoil: setting("extra", strings.Repeat("x", maxClientData))},
	{name: "6: the client data is JSON: keys nobody knows are passed over", why: "",
		spoil: setting("new_keys_may_be_added_here", "do not compare clientDataJSON against a template")},
	{name: "7: type is webauthn.create: not webauthn.get", why: badType, spoil: setting("type", "webauthn.get")},
	{name: "7: type is webauthn.create: not payment.get", why: badType, spoil: setting("type", "payment.get")},
	{name: "8: the challenge is ours: another", why: badChallenge, spoil: setting("challenge", b64url([]byte("another question, and 32 b as is")))},
	{name: "8: the challenge is ours: none", why: badChallenge, spoil: setting("challenge", "")},
	{name: "9: the origin is expected: a look-alike", why: badOrigin, spoil: setting("origin", evilOrigin)},
	{name: "9: the origin is expected: http", why: badOrigin, spoil: setting("origin", "http://id.example.org")},
	{name: "9: the origin is expected: another port", why: badOrigin, spoil: setting("origin", homeOrigin+":8443")},
	{name: "9: the origin is expected: a sub-domain", why: badOrigin, spoil: setting("origin", "https://www.id.example.org")},
	{name: "9: the origin is expected: the parent", why: badOrigin, spoil: setting("origin", "https://example.org")},
	{name: "9: the origin is expected: null", why: badOrigin, spoil: setting("origin", "null")},
	{name: "9: the origin is expected: an app's", why: badOrigin, spoil: setting("origin", "android:apk-key-hash:abc")},
	{name: "9: the origin is expected: a related one is", why: "", spoil: setting("origin", kinOrigin)},
	{name: "10: crossOrigin is expected: never", why: badFrame, spoil: setting("crossOrigin", true)},
	{name: "11: topOrigin is expected: never", why: badFrame, spoil: setting("topOrigin", homeOrigin)},
	{name: "11: topOrigin is expected: not even of a frame that says so", why: badFrame,
		spoil: client(func(c map[string]any) { c["crossOrigin"], c["topOrigin"] = true, evilOrigin })},
	{name: "12: the hash is over the client data as it came: changed after it was signed", why: badStatement, key: attesting("self"),
		spoil: reply(func(_, r map[string]any) {
			r["clientDataJSON"] = b64url([]byte(`{"type":"webauthn.create","challenge":"` + b64url(question) + `","origin":"` + homeOrigin + `"}`))
		})},
	{name: "13: the attestation object is CBOR: cut off", why: badAnswer,
		spoil: softkey.Spoil{Object: func(b []byte) []byte { return b[:len(b)-1] }}},
	{name: "13: the attestation object is CBOR: with something after it", why: badAnswer,
		spoil: softkey.Spoil{Object: func(b []byte) []byte { return append(b, 0) }}},
	{name: "13: the attestation object is CBOR: a text", why: badAnswer,
		spoil: softkey.Spoil{Object: func([]byte) []byte { return softkey.CBOR("none") }}},
	{name: "13: the attestation object is CBOR: nested too deep", why: badAnswer,
		spoil: softkey.Spoil{Object: func([]byte) []byte { return append(bytes.Repeat([]byte{0x81}, 1000), 0) }}},
	{name: "13: the attestation object is CBOR: of more than 24 KiB", why: badAnswer,
		spoil: softkey.Spoil{Object: func(b []byte) []byte { // a map of four, of which the last is of no use
			return slices.Concat([]byte{0xa4}, b[1:], softkey.CBOR("x"), softkey.CBOR(make([]byte, maxAttestation)))
		}}},
	{name: "13: the attestation object is CBOR: with a member that nobody knows", why: "",
		spoil: softkey.Spoil{Object: func(b []byte) []byte { return slices.Concat([]byte{0xa4}, b[1:], softkey.CBOR("x"), []byte{0}) }}},
	{name: "13: the attestation object is CBOR: authenticator data of 36 bytes", why: badAnswer,
		spoil: softkey.Spoil{Data: func(b []byte) []byte { return b[:36] }}},
	{name: "13: the attestation object is CBOR: authenticator data with something after it", why: badAnswer,
		spoil: softkey.Spoil{Data: func(b []byte) []byte { return append(b, 0) }}},
	{name: "13: the attestation object is CBOR: no key in it", why: badAnswer, spoil: auth(flagged(0, softkey.AT))},
	{name: "13: the attestation object is CBOR: a key that is cut off", why: badAnswer,
		spoil: softkey.Spoil{Data: func(b []byte) []byte { return b[:len(b)-1] }}},
	{name: "13: the attestation object is CBOR: a key of more than 1 KiB", why: badAnswer,
		spoil: auth(func(a *softkey.AuthData) { a.COSE[-1] = make([]byte, maxPublicKey) })},
	{name: "14: rpIdHash is that of the RP ID: another domain", why: badDomain, spoil: auth(func(a *softkey.AuthData) { a.Domain = "evil.test" })},
	{name: "14: rpIdHash is that of the RP ID: the parent", why: badDomain, spoil: auth(func(a *softkey.AuthData) { a.Domain = "example.org" })},
	{name: "15: UP is set: it is not", why: badPresence, spoil: auth(flagged(0, softkey.UP))},
	{name: "15: UP is set: nor of a security key", why: badPresence, as: SortSecurityKey, spoil: auth(flagged(0, softkey.UP))},
	{name: "16: UV is set when it is required: of a passkey it is", why: badVerification, spoil: auth(flagged(0, softkey.UV))},
	{name: "16: UV is set when it is required: of a security key it is not", why: "", as: SortSecurityKey, spoil: auth(flagged(0, softkey.UV))},
	{name: "17: BS is not set without BE: backed up and cannot be", why: badBackup, spoil: auth(flagged(softkey.BS, softkey.BE))},
	{name: "18: BE informs policy: one that can be backed up is taken", why: "", spoil: auth(flagged(softkey.BE, softkey.BS))},
	{name: "19: BS informs policy: one that is backed up is taken", why: "", spoil: auth(flagged(softkey.BE|softkey.BS, 0))},
	{name: "20: the algorithm was offered: ES384 was not", why: badAlgorithm,
		spoil: auth(func(a *softkey.AuthData) { a.COSE[3] = softkey.ES384 })},
	{name: "20: the algorithm was offered: a key of another type", why: badAlgorithm, spoil: auth(func(a *softkey.AuthData) { a.COSE[1] = 3 })},
	{name: "20: the algorithm was offered: a point off the curve", why: badAlgorithm,
		spoil: auth(func(a *softkey.AuthData) { a.COSE[-2] = make([]byte, 32) })},
	{name: "20: the algorithm was offered: a coordinate too short", why: badAlgorithm,
		spoil: auth(func(a *softkey.AuthData) { a.COSE[-2] = make([]byte, 31) })},
	{name: "20: the algorithm was offered: no algorithm", why: badAlgorithm, spoil: auth(func(a *softkey.AuthData) { delete(a.COSE, 3) })},
	{name: "20: the algorithm was offered: the key is a number", why: badAlgorithm, spoil: auth(func(a *softkey.AuthData) { a.RawCOSE = []byte{7} })},
	{name: "20: the algorithm was offered: ES256 was", why: ""},
	{name: "20: the algorithm was offered: EdDSA was", why: "", key: func(k *softkey.Key) { k.Alg = softkey.EdDSA }},
	{name: "20: the algorithm was offered: RS256 was", why: "", key: func(k *softkey.Key) { k.Alg = softkey.RS256 }},
	{name: "21: the attestation format is known: not this one", why: badStatement,
		spoil: softkey.Spoil{Statement: func(f *string, _ map[string]any) { *f = "handwritten" }}},
	{name: "21: the attestation format is known: the match is of case", why: badStatement,
		spoil: softkey.Spoil{Statement: func(f *string, _ map[string]any) { *f = "None" }}},
	{name: "22: the attestation statement is right: none with a statement", why: badStatement,
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["sig"] = []byte{1} }}},
	{name: "22: the attestation statement is right: self", why: "", key: attesting("self")},
	{name: "22: the attestation statement is right: self by EdDSA", why: "",
		key: func(k *softkey.Key) { attesting("self")(k); k.Alg = softkey.EdDSA }},
	{name: "22: the attestation statement is right: self by RS256", why: "",
		key: func(k *softkey.Key) { attesting("self")(k); k.Alg = softkey.RS256 }},
	{name: "22: the attestation statement is right: self with a wrong signature", why: badStatement, key: attesting("self"),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["sig"] = flip(s["sig"].([]byte)) }}},
	{name: "22: the attestation statement is right: self by another algorithm than the key's", why: badStatement, key: attesting("self"),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["alg"] = softkey.RS256 }}},
	{name: "22: the attestation statement is right: self without a signature", why: badStatement, key: attesting("self"),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { delete(s, "sig") }}},
	{name: "22: the attestation statement is right: packed by its maker", why: "", key: vouching("packed", 7)},
	{name: "22: the attestation statement is right: packed with a wrong signature", why: badStatement, key: vouching("packed", 7),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["sig"] = flip(s["sig"].([]byte)) }}},
	{name: "22: the attestation statement is right: packed, and the certificate is of another model", why: badStatement, key: vouching("packed", 8)},
	{name: "22: the attestation statement is right: packed, and the certificate is that of the root", why: badStatement, key: vouching("packed", 7),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["x5c"] = []any{testMaker().Root} }}},
	{name: "22: the attestation statement is right: packed with no certificates in the list", why: badStatement, key: vouching("packed", 7),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["x5c"] = []any{} }}},
	{name: "22: the attestation statement is right: packed with a certificate that is none", why: badStatement, key: vouching("packed", 7),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["x5c"] = []any{[]byte("no certificate")} }}},
	{name: "22: the attestation statement is right: of a U2F key", why: "", key: vouching("fido-u2f", 0)},
	{name: "22: the attestation statement is right: of a U2F key with a wrong signature", why: badStatement, key: vouching("fido-u2f", 0),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["sig"] = flip(s["sig"].([]byte)) }}},
	{name: "22: the attestation statement is right: of a U2F key with two certificates", why: badStatement, key: vouching("fido-u2f", 0),
		spoil: softkey.Spoil{Statement: func(_ *string, s map[string]any) { s["x5c"] = []any{testMaker().Batch, testMaker().Root} }}},
	{name: "22: the attestation statement is right: of a U2F key that says it has a model", why: "", key: vouching("fido-u2f", 7)},
	{name: "25: the credential id is at most 1023 bytes: 1024 are too many", why: badLength,
		spoil: auth(func(a *softkey.AuthData) { a.CredentialID = make([]byte, 1024) })},
	{name: "25: the credential id is at most 1023 bytes: 5535 are too many", why: badLength,
		spoil: auth(func(a *softkey.AuthData) { a.CredentialID = make([]byte, 5535) })},
	{name: "25: the credential id is at most 1023 bytes: none is too few", why: badAnswer,
		spoil: auth(func(a *softkey.AuthData) { a.CredentialID = nil })},
	{name: "28: extension outputs are processed: what was not asked for is passed over", why: "",
		spoil: softkey.Spoil{Auth: func(a *softkey.AuthData) {
			a.Flags |= softkey.ED
			a.Extensions = softkey.CBOR(map[string]any{"credProtect": 2})
		}, Answer: func(a, _ map[string]any) {
			a["clientExtensionResults"].(map[string]any)["largeBlob"] = map[string]any{"supported": true}
		}}},
	{name: "28: extension outputs are processed: said to be there, and are not", why: badAnswer, spoil: auth(flagged(softkey.ED, 0))},
	{name: "28: extension outputs are processed: no CBOR", why: badAnswer,
		spoil: auth(func(a *softkey.AuthData) { a.Flags |= softkey.ED; a.Extensions = []byte{0xff} })},
	{name: "28: extension outputs are processed: there, and not said to be", why: badAnswer,
		spoil: auth(func(a *softkey.AuthData) { a.Extensions = softkey.CBOR(map[string]any{"x": 1}) })},
	{name: "29: all of it, or nothing is stored: several things wrong", why: badType,
		spoil: softkey.Spoil{Client: func(c map[string]any) { c["type"] = "x"; c["origin"] = evilOrigin }, Auth: flagged(0, softkey.UP|softkey.UV)}},
}

func TestANewPasskeyIsJudgedByTheStandard(t *testing.T) {
	for _, row := range newRows {
		t.Run(row.name, func(t *testing.T) {
			r, k := relying(t, nil), newKey()
			if row.key != nil {
				row.key(k)
			}
			as := row.as
			if as == "" {
				as = SortPasskey
			}
			answer := created(t, r, k, as, row.spoil)
			c, p, hint, ok := r.CheckNew(anaUser, question, answer, as, noon)
			if hint.Reason != row.why || ok != (row.why == "") {
				t.Fatalf("ok %v because of %q, want %q", ok, hint.Reason, row.why)
			}
			if !ok && (c.Handle != "" || c.Public != nil || p.Method != "" || hint.Key == "") {
				t.Errorf("refused, and yet something is handed back: %+v %+v %+v", c, p, hint)
			}
		})
	}
}

// The question is the caller's: without one, nothing is right.
func TestWithoutAQuestionNothingIsRight(t *testing.T) {
	r, k := relying(t, nil), newKey()
	for _, asked := range [][]byte{nil, {}, question[:15]} {
		options := need(t)(r.CreationOptions(anaUser, asked, nil, SortPasskey))
		answer := seal.Secret(need(t)(k.Create(options, homeOrigin)))
		if _, _, hint, ok := r.CheckNew(anaUser, asked, answer, SortPasskey, noon); ok || hint.Reason != badChallenge {
			t.Errorf("%d bytes: %v %q", len(asked), ok, hint.Reason)
		}
	}
}

func TestWhatIsKeptOfANewPasskey(t *testing.T) {
	k := newKey()
	k.BackupEligible, k.BackedUp, k.Counts, k.Count = true, true, true, 41
	copy(k.AAGUID[:], "\xba\xda\x55\x66\xa7\xaa\x40\x1f\xbd\x96\x45\x61\x9a\x55\x12\x0d")
	k.Transports = []string{"hybrid", "internal", "internal", "<script>", "usb"}
	r := relying(t, nil)
	answer := created(t, r, k, SortPasskey, softkey.Spoil{})
	c, p, _, ok := r.CheckNew(anaUser, question, answer, SortPasskey, noon)
	f, err := PasskeyOf(c)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if c.Account != ana || c.Kind != KindPasskey || c.Counter != 41 || c.Secret != "" || !c.MadeAt.Equal(noon) || c.State != StateGood {
		t.Errorf("%+v", c)
	}
	if handle, account, ok := ShownBy(answer); !ok || handle != c.Handle || account != "" {
		t.Errorf("the handle is %q, shown is %q", c.Handle, handle)
	}
	want := PasskeyFacts{Key: f.Key, Sort: SortPasskey, AAGUID: "bada5566-a7aa-401f-bd96-45619a55120d", BackupEligible: true, BackedUp: true,
		Verifies: true, Discoverable: true, Transports: []string{"hybrid", "internal", "usb"}, Model: "1Password", Format: "none"}
	if !slices.Equal(f.Transports, want.Transports) {
		t.Errorf("transports %v", f.Transports)
	}
	f.Transports, want.Transports = nil, nil
	if string(f.public()) != string(want.public()) || len(f.Key) == 0 {
		t.Errorf("facts\n%s, want\n%s", f.public(), want.public())
	}
	if p.Method != "passkey" || !p.Verified || p.Bound || p.Attested || p.Step != 41 || !p.At.Equal(noon) {
		t.Errorf("%+v", p)
	}
}
