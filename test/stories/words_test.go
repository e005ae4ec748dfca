package stories

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/test/house"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

var changing = regexp.MustCompile(`"(request_id|device)":"[^"]*"`)

// shape is everything of an answer that an onlooker could compare: status,
// headers and body without the ids that differ every time.
var challenge = regexp.MustCompile(`(data-challenge="|&#34;challenge&#34;:&#34;|"challenge":")[A-Za-z0-9_-]{40,}`)

func shape(r house.Reply, email string) string {
	var lines []string
	for name, values := range r.Header {
		value := strings.Join(values, "; ")
		switch name {
		case "Set-Cookie":
			value = regexp.MustCompile(`=[A-Za-z0-9_-]{40,}`).ReplaceAllString(value, "=…")
		case "X-Request-Id":
			value = "…"
		}
		lines = append(lines, name+": "+value)
	}
	slices.Sort(lines)
	body := changing.ReplaceAllString(r.Body, `"$1":"…"`)
	body = challenge.ReplaceAllString(body, "${1}…") // a page asks for a passkey with a challenge of its own
	if id := r.Header.Get("X-Request-Id"); id != "" {
		body = strings.ReplaceAll(body, id, "…")
	}
	if _, nonce, ok := strings.Cut(r.Header.Get("Content-Security-Policy"), "'nonce-"); ok {
		nonce, _, _ = strings.Cut(nonce, "'")
		body = strings.ReplaceAll(body, nonce, "…")
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], nonce, "…")
		}
	}
	body = strings.ReplaceAll(body, email, "E-MAIL")
	body = regexp.MustCompile(`Content-Length: \d+`).ReplaceAllString(body, "")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Content-Length:") && contains(r.Body, email) })
	return strings.Join(append(lines, body), "\n")
}
