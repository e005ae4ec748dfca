package stories

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/test/house"
)

func TestStrangeTextsAreRefusedLikeAnyOther(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		alice := h.Person("alice")
		b := h.Browser("203.0.113.9")
		for name, email := range map[string]string{
			"a zero byte":                         "ana\x00@harbour-books.example",
			"cut within a character":              strings.Repeat("é", 400),
			"a zero byte behind a good address":   alice.Email + "\x00",
			"more than any address, and unusual":  strings.Repeat("\U0001f6a2", 10_000),
		} {
			h.SQL(`DELETE FROM tries`)
			if r := b.API("/signin", map[string]any{"email": email, "password": "something else"}); r.Status != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", name, r.Status, r.Body)
			}
			for _, path := range []string{"/forgot", "/unlock"} {
				if r := b.API(path, map[string]any{"email": email}); r.Status != http.StatusOK {
					t.Errorf("%s at %s: %d %s", name, path, r.Status, r.Body)
				}
			}
		}
	})
}
