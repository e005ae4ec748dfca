package authenticators

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"gatehouse/authenticators/softkey"
)

func TestWhereAPasskeyIsBoundTo(t *testing.T) {
	for _, row := range []struct {
		name    string
		id      string
		origins []string
		want    string // "" is an error
	}{
		{"the host", "", []string{"https://id.example.org"}, "id.example.org"},
		{"the host with a port", "", []string{"https://id.example.org:8443"}, "id.example.org"},
		{"the host named", "id.example.org", []string{"https://id.example.org"}, "id.example.org"},
		{"the domain above", "example.org", []string{"https://id.example.org"}, "example.org"},
		{"in capitals", "Example.ORG", []string{"https://ID.example.org"}, "example.org"},
		{"localhost", "", []string{"http://localhost:8471"}, "localhost"},
		{"a name under localhost", "", []string{"http://a.localhost:8471"}, "a.localhost"},
		{"a house with one word for a name", "", []string{"https://gatehouse"}, "gatehouse"},
		{"with related ones", "", []string{"https://id.example.org", "https://other.example"}, "id.example.org"},
		{"a domain beside", "other.example.org", []string{"https://id.example.org"}, ""},
		{"a domain that ends alike", "ample.org", []string{"https://id.example.org"}, ""},
		{"a domain below", "a.id.example.org", []string{"https://id.example.org"}, ""},
		{"everybody's", "org", []string{"https://id.example.org"}, ""},
		{"everybody's in two parts", "co.uk", []string{"https://id.example.co.uk"}, ""},
		{"everybody's by a private rule", "github.io", []string{"https://gatehouse.github.io"}, ""},
		{"http", "", []string{"http://id.example.org"}, ""},
		{"an address in numbers", "", []string{"https://192.0.2.7"}, ""},
		{"an address in numbers of six", "", []string{"https://[2001:db8::7]:8443"}, ""},
		{"a related one by http", "", []string{"https://id.example.org", "http://other.example"}, ""},
		{"with a path", "", []string{"https://id.example.org/signin"}, ""},
		{"with a user", "", []string{"https://me@id.example.org"}, ""},
		{"nothing", "", []string{""}, ""},
		{"none at all", "", nil, ""},
	} {
		r, err := NewRelying(RelyingOptions{ID: row.id, Origins: row.origins})
		if (err == nil) != (row.want != "") || err == nil && r.ID() != row.want {
			t.Errorf("%s: %+v %v", row.name, r, err)
		}
	}
	if _, err := NewRelying(RelyingOptions{Origins: []string{"https://192.0.2.7"}}); !errors.Is(err, ErrNoDomain) {
		t.Errorf("an address in numbers: %v", err)
	}
	if r := relying(t, nil); !slices.Equal(r.Related(), []string{kinOrigin}) {
		t.Errorf("related: %v", r.Related())
	}
}

func TestAPolicyOnAttestationThatMeansNothingIsRefused(t *testing.T) {
	mds := testMDS(t, nil)
	for _, row := range []struct {
		name   string
		policy AttestationPolicy
		ok     bool
	}{
		{"none", AttestationPolicy{}, true},
		{"asked", AttestationPolicy{Mode: AttestationAsked, MDS: mds}, true},
		{"required", AttestationPolicy{Mode: AttestationRequired, MDS: mds}, true},
		{"required, of some models", AttestationPolicy{Mode: AttestationRequired, MDS: mds, AAGUIDs: []string{softModel}}, true},
		{"required, and nobody to ask", AttestationPolicy{Mode: AttestationRequired}, false},
		{"asked, and nobody to ask", AttestationPolicy{Mode: AttestationAsked}, false},
		{"of some models that anybody can claim", AttestationPolicy{AAGUIDs: []string{softModel}}, false},
		{"asked, of some models", AttestationPolicy{Mode: AttestationAsked, MDS: mds, AAGUIDs: []string{softModel}}, false},
		{"of a model that is none", AttestationPolicy{Mode: AttestationRequired, MDS: mds, AAGUIDs: []string{"YubiKey"}}, false},
		{"perhaps", AttestationPolicy{Mode: "perhaps", MDS: mds}, false},
	} {
		_, err := NewRelying(RelyingOptions{Origins: []string{homeOrigin}, Attestation: row.policy})
		if (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestCreationOptionsSayWhatIsWanted(t *testing.T) {
	r, k := relying(t, nil), newKey()
	have := made(t, r, k, SortPasskey)
	for _, row := range []struct {
		as              PasskeySort
		resident, check string
		attachment      any
	}{
		{SortPasskey, "required", "required", nil},
		{SortSecurityKey, "discouraged", "discouraged", "cross-platform"},
	} {
		o := object(t, need(t)(r.CreationOptions(anaUser, question, []Credential{have, {Kind: KindPush, Handle: "push:x"}}, row.as)))
		s := o["authenticatorSelection"].(map[string]any)
		if s["residentKey"] != row.resident || s["userVerification"] != row.check || s["authenticatorAttachment"] != row.attachment {
			t.Errorf("%s: %v", row.as, s)
		}
		user, rp := o["user"].(map[string]any), o["rp"].(map[string]any)
		if user["id"] != UserHandle(ana) || user["name"] != "ana@example.org" || user["displayName"] != "Ana" || rp["id"] != "id.example.org" {
			t.Errorf("%v %v", user, rp)
		}
		if o["challenge"] != b64url(question) || o["attestation"] != "none" || len(o["excludeCredentials"].([]any)) != 1 {
			t.Errorf("%v", o)
		}
		if _, err := k.Create(need(t)(r.CreationOptions(anaUser, question, []Credential{have}, row.as)), homeOrigin); !errors.Is(err, softkey.ErrExcluded) {
			t.Errorf("a second passkey on one authenticator: %v", err)
		}
	}
}

func TestRequestOptionsAskForWhatIsNeeded(t *testing.T) {
	r := relying(t, nil)
	strong, touched := made(t, r, newKey(), SortPasskey), made(t, r, softkey.NewRoaming(rand.Reader), SortSecurityKey)
	for _, row := range []struct {
		name     string
		allow    []Credential
		verified bool
		want     string
	}{
		{"the holder must be verified", nil, true, "required"},
		{"the holder must be verified by one of these", []Credential{touched}, true, "required"},
		{"a touch of a security key", []Credential{touched}, false, "discouraged"},
		{"a passkey that can verify", []Credential{touched, strong}, false, "preferred"},
	} {
		o := object(t, need(t)(r.RequestOptions(question, row.allow, row.verified)))
		if o["userVerification"] != row.want || len(o["allowCredentials"].([]any)) != len(row.allow) || o["rpId"] != "id.example.org" {
			t.Errorf("%s: %v", row.name, o)
		}
	}
}

// Whatever the parent domain, a house takes assertions for its own origins only.
func TestAHouseUnderItsParentTakesNoSistersAssertions(t *testing.T) {
	r, err := NewRelying(RelyingOptions{ID: "example.org", Origins: []string{homeOrigin}})
	if err != nil {
		t.Fatal(err)
	}
	k := newKey()
	c := made(t, r, k, SortPasskey)
	if v := judged(t, r, got(t, r, k, nil, true, softkey.Spoil{}), true, c); !v.OK {
		t.Errorf("%+v", v)
	}
	if v := judged(t, r, got(t, r, k, nil, true, setting("origin", "https://blog.example.org")), true, c); v.Hint.Reason != badOrigin {
		t.Errorf("a sister: %+v", v)
	}
}
