package main

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (l *Loaded) field(s setting) reflect.Value {
	return reflect.ValueOf(&l.Settings).Elem().Field(s.index)
}

func (l *Loaded) isList(s setting) bool { return l.field(s).Kind() == reflect.Slice }

// set parses the texts (one, unless the setting is a list) into the setting's
// field and holds them against its tags.
func (l *Loaded) set(s setting, texts []string) error {
	field := l.field(s)
	switch field.Interface().(type) {
	case string:
		return setString(s, field, texts[0])
	case bool:
		yes, err := parseBool(texts[0])
		field.SetBool(yes)
		return err
	case int:
		n, err := strconv.Atoi(texts[0])
		if err != nil {
			return fmt.Errorf("%q is not a whole number%s", texts[0], allowed(s))
		}
		field.SetInt(int64(n))
		return inSpan(s, n, strconv.Atoi)
	case time.Duration:
		d, err := parseDuration(texts[0])
		if err != nil {
			return fmt.Errorf("%w%s", err, allowed(s))
		}
		field.SetInt(int64(d))
		return inSpan(s, d, parseDuration)
	case []netip.Prefix:
		networks, err := parseNetworks(texts)
		field.Set(reflect.ValueOf(networks))
		return err
	case []string:
		return setStrings(s, field, texts)
	}
	panic("config.go: no rule for the type of " + s.key)
}

func setString(s setting, field reflect.Value, text string) error {
	field.SetString(text)
	if text == "" {
		return nil // the cross-checks know what cannot be empty
	}
	if s.oneof != nil && !slices.Contains(s.oneof, text) {
		return fmt.Errorf("%q is not one of %s%s", text, strings.Join(s.oneof, ", "), didYouMean(text, s.oneof))
	}
	if err := inSpan(s, len([]rune(text)), strconv.Atoi); err != nil {
		return fmt.Errorf("has %d letters; %s are allowed", len([]rune(text)), spanWords(s))
	}
	judge, ok := kinds[s.kind]
	if !ok {
		return nil
	}
	return judge(text)
}

// setStrings holds each item against the setting's kind.
func setStrings(s setting, field reflect.Value, texts []string) error {
	var list []string
	for _, text := range texts {
		if text == "" {
			continue
		}
		if judge, ok := kinds[s.kind]; ok {
			if err := judge(text); err != nil {
				return err
			}
		}
		list = append(list, text)
	}
	field.Set(reflect.ValueOf(list))
	return nil
}

func inSpan[T int | time.Duration](s setting, n T, parse func(string) (T, error)) error {
	if s.span == "" {
		return nil
	}
	low, high, _ := strings.Cut(s.span, "..")
	least, errLow := parse(low)
	most, errHigh := parse(high)
	if err := errors.Join(errLow, errHigh); err != nil {
		panic("config.go: range of " + s.key + ": " + err.Error()) // a test reads every range
	}
	if n < least || n > most {
		return fmt.Errorf("%v is outside %s", show(n), spanWords(s))
	}
	return nil
}

func spanWords(s setting) string { return strings.Replace(s.span, "..", " to ", 1) }

func allowed(s setting) string {
	if s.span == "" {
		return ""
	}
	return "; " + spanWords(s) + " is allowed"
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", text)
}

// parseDuration knows days too (30d), which are 24 hours.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time; write 90s, 15m, 12h or 30d", text)
	}
	return d, nil
}

// show writes a value the way it is written in the file.
func show(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return showDuration(v)
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case []netip.Prefix:
		texts := make([]string, len(v))
		for i, p := range v {
			texts[i] = p.String()
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		if text == "" {
			continue
		}
		n, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, n)
	}
	return networks, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	if err != nil {
		return n, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", text)
	}
	if n != n.Masked() {
		return n, fmt.Errorf("%q has bits beyond its length; write %s, or %s for one machine", text, n.Masked(), n.Addr())
	}
	return n, nil
}

// kinds says what a text must look like.
var kinds = map[string]func(string) error{
	"origin":  judgeOrigin,
	"address": judgeAddress,
	"https":   judgeHTTPS,
	"host":    judgeHost,
	"http":    judgeHTTP,
	"country": judgeCountry,
	"mailbox": judgeMailbox,
	"contact": judgeContact,
	"dsn":     judgeDSN,
	"nats":    judgeNATS,
	"stream":  judgeStream,
	"subject": judgeSubject,
	"node":    judgeNode,
}

func isPath(s setting) bool { return s.kind == "file" || s.kind == "secretfile" || s.kind == "dir" }

// resolve makes a path in the file relative to that file's folder, so that it
// means the same wherever the program was started.
func (l *Loaded) resolve(path string, at Where) string {
	if path == "" || filepath.IsAbs(path) || at.File == "" {
		return path
	}
	return filepath.Join(filepath.Dir(at.File), path)
}

func judgeOrigin(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is not an address like https://login.example.com", text)
	}
	if u.Scheme == "http" && !isLocal(u.Hostname()) {
		return fmt.Errorf("%q is not protected; write https://%s (http:// is for localhost only)", text, strings.ToLower(u.Host))
	}
	want := strings.ToLower(u.Scheme + "://" + u.Host)
	if text != want {
		return fmt.Errorf("%q has more than a scheme and a host, or capitals; write %s", text, want)
	}
	return nil
}

func isLocal(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.IsLoopback()
}

func judgeAddress(text string) error {
	host, port, ok := cutPort(text)
	if !ok {
		return fmt.Errorf("%q is not a place to listen; write 127.0.0.1:8080, [::1]:8080 or :443", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port must be a number from 0 to 65535, and %q is %s", text, port, map[bool]string{true: "too large", false: "none"}[n > 65535])
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return fmt.Errorf("%q: write an address of this machine, not a name", text)
	}
	return nil
}

func cutPort(text string) (host, port string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", "", false
	}
	host, port = text[:i], text[i+1:]
	if strings.Contains(host, ":") && !(strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")) {
		return "", "", false
	}
	return strings.Trim(host, "[]"), port, true
}

func judgeHTTPS(text string) error {
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLocal(u.Hostname())) {
		return fmt.Errorf("%q is not an https:// address", text)
	}
	return nil
}

func judgeHost(text string) error {
	if strings.ContainsAny(text, "/:@ ") {
		return fmt.Errorf("%q is not a host name; write mail.example.com, and its port under mail.port", text)
	}
	return nil
}

func judgeMailbox(text string) error {
	if _, err := mail.ParseAddress(text); err != nil {
		return fmt.Errorf("%q is not a sender; write login@example.com or Gatehouse <login@example.com>", text)
	}
	return nil
}

func judgeContact(text string) error {
	if address, ok := strings.CutPrefix(text, "mailto:"); ok {
		if _, err := mail.ParseAddress(address); err == nil {
			return nil
		}
	}
	if u, err := url.Parse(text); err == nil && u.Scheme == "https" && u.Host != "" {
		return nil
	}
	return fmt.Errorf("%q is neither mailto:somebody@example.com nor an https:// address", text)
}

func judgeDSN(text string) error {
	for _, scheme := range []string{"sqlite:", "postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok && rest != "" {
			return nil
		}
	}
	return errors.New("write sqlite:/path/file.db or postgres://user@host/name") // the text may hold a password
}

// didYouMean suggests the candidate nearest to what was written, if one is near:
// by its whole name, or by its last word when only the section is wrong.
func didYouMean(written string, candidates []string) string {
	best, distance := "", 1+len(written)/4
	for _, c := range candidates {
		d := editDistance(written, c)
		if lastWord(c) == lastWord(written) {
			d = min(d, 1)
		}
		if d <= distance && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func lastWord(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
