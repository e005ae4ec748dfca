package authenticators

import (
	"strconv"
	"strings"
	"testing"
)

// The numbered steps of WebAuthn Level 3 (https://www.w3.org/TR/webauthn-3/), each
// with what it demands in short. A step marked "browser" is done by a script of
// ours in the page: test/browser has it. Every other one is named by at least one
// row of the tables below, which begins with its number.
var registrationSteps = []string{
	1:  "browser: make the options",
	2:  "browser: call navigator.credentials.create()",
	3:  "the response is that of a registration",
	4:  "the client's extension outputs are read",
	5:  "the client data is UTF-8",
	6:  "the client data is JSON",
	7:  "type is webauthn.create",
	8:  "the challenge is ours",
	9:  "the origin is expected",
	10: "crossOrigin is expected",
	11: "topOrigin is expected",
	12: "the hash is over the client data as it came",
	13: "the attestation object is CBOR",
	14: "rpIdHash is that of the RP ID",
	15: "UP is set",
	16: "UV is set when it is required",
	17: "BS is not set without BE",
	18: "BE informs policy",
	19: "BS informs policy",
	20: "the algorithm was offered",
	21: "the attestation format is known",
	22: "the attestation statement is right",
	23: "trust anchors are those of policy",
	24: "the attestation is trustworthy under policy",
	25: "the credential id is at most 1023 bytes",
	26: "the credential id is nobody's yet",
	27: "the record has what the standard names",
	28: "extension outputs are processed",
	29: "all of it, or nothing is stored",
}

var authenticationSteps = []string{
	1:  "browser: make the options",
	2:  "browser: call navigator.credentials.get()",
	3:  "the response is that of an authentication",
	4:  "the client's extension outputs are read",
	5:  "the credential is one of those allowed",
	6:  "the user is the owner",
	7:  "client data, authenticator data and signature are there",
	8:  "the client data is UTF-8",
	9:  "the client data is JSON",
	10: "type is webauthn.get",
	11: "the challenge is ours",
	12: "the origin is expected",
	13: "crossOrigin is expected",
	14: "topOrigin is expected",
	15: "rpIdHash is that of the RP ID",
	16: "UP is set",
	17: "UV is set when it is required",
	18: "BS is not set without BE",
	19: "BE is as it was",
	20: "the hash is over the client data as it came",
	21: "the signature is the key's",
	22: "the signature counter goes up",
	23: "extension outputs are processed",
	24: "the record is kept up to date",
	25: "all of it, or nobody is let in",
}

// A step without a row, and a row without a step, fail here.
func TestEveryStepOfTheStandardHasItsRow(t *testing.T) {
	for _, c := range []struct {
		section string
		steps   []string
		rows    []string
	}{
		{"§7.1", registrationSteps, rowNames(newRows, elsewhereNew)},
		{"§7.2", authenticationSteps, rowNames(gotRows, elsewhereGot)},
	} {
		covered := map[int]bool{}
		for _, row := range c.rows {
			n, _ := strconv.Atoi(strings.TrimLeft(strings.SplitN(row, ":", 2)[0], " "))
			if n < 1 || n >= len(c.steps) || !strings.Contains(row, c.steps[n]) {
				t.Errorf("%s: the row %q names no step", c.section, row)
			}
			covered[n] = true
		}
		for n, step := range c.steps {
			if n > 0 && !covered[n] && !strings.HasPrefix(step, "browser:") {
				t.Errorf("%s step %d has no row: %s", c.section, n, step)
			}
		}
	}
}

func rowNames[T interface{ row() string }](rows []T, elsewhere []string) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.row())
	}
	return append(all, elsewhere...)
}
