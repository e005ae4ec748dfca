package authenticators

import "strings"

// PasskeyName is what a new passkey is called: the model, when it is known, else
// what the caller says, else its kind.
func PasskeyName(c Credential, otherwise string) string {
	f, err := PasskeyOf(c)
	switch {
	case err == nil && f.Model != "":
		return AppName(f.Model)
	case strings.TrimSpace(otherwise) != "":
		return AppName(otherwise)
	}
	return "Passkey"
}
