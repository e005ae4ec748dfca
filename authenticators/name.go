package authenticators

import (
	"strings"
	"unicode/utf8"
)

// AppName is the name of an authenticator as its owner wrote it: trimmed, at most
// 60 characters, never empty, no control characters.
func AppName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, name))
	if r := []rune(name); len(r) > 60 {
		name = string(r[:60])
	}
	if name == "" {
		return "Authenticator app"
	}
	return name
}
