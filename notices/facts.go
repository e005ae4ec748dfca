package notices

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // people's time zones, also on a machine that has no zone files
	"unicode"

	"gatehouse/outbox"
	"gatehouse/words"
)

// facts are the rows below the text, without those that are not known.
func facts(c *words.Catalogue, d design, fields map[string]string, zone *time.Location) ([]fact, error) {
	var rows []fact
	for _, f := range d.Facts {
		value, err := factValue(c, f, fields[f], zone)
		if err != nil {
			return nil, err
		}
		if value != "" {
			rows = append(rows, fact{c.Say("mail.fact." + label(d, f)), value})
		}
	}
	return rows, nil
}

// label says "Asked for from" where nothing has happened yet.
func label(d design, field string) string {
	if d.Asks && field == outbox.Device {
		return "asked-from"
	}
	return field
}

func factValue(c *words.Catalogue, field, value string, zone *time.Location) (string, error) {
	switch field {
	case outbox.From:
		if value == "" {
			return "", nil
		}
		return factValue(c, outbox.Time, value, zone)
	case outbox.Time:
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return "", fmt.Errorf("notices: the time of a notice is not RFC 3339")
		}
		return moment(c, t, zone), nil
	case outbox.Method:
		if k := "mail.method." + value; c.Has(k) {
			return c.Say(k), nil
		}
		return "", nil
	case outbox.NewAddress:
		return plainLine(value), nil
	}
	return plain(value), nil
}

// zoneOf is UTC for a zone that nobody knows. "Local" is a name Go knows, and is
// the server's zone: not what anyone meant.
func zoneOf(name string) *time.Location {
	if name == "Local" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// moment words a time for a person: "Saturday, 21 November 2026, 14:05
// Europe/Lisbon (UTC+0)".
func moment(c *words.Catalogue, t time.Time, zone *time.Location) string {
	t = t.In(zone)
	return c.Say("mail.time",
		"weekday", c.Say(fmt.Sprintf("mail.weekday.%d", t.Weekday())),
		"day", t.Day(),
		"month", c.Say(fmt.Sprintf("mail.month.%d", t.Month())),
		"year", t.Year(),
		"clock", t.Format("15:04"),
		"zone", zoneWords(t))
}

// zoneWords names the zone and how far it is from UTC then: zone abbreviations
// are ambiguous (CST is three of them).
func zoneWords(t time.Time) string {
	name := t.Location().String()
	if name == "UTC" || name == "" {
		return "UTC"
	}
	_, seconds := t.Zone()
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	offset := fmt.Sprintf("%s%d", sign, seconds/3600)
	if minutes := seconds % 3600 / 60; minutes != 0 {
		offset += fmt.Sprintf(":%02d", minutes)
	}
	return name + " (UTC" + offset + ")"
}

// maxPlain bounds a text that somebody chose, in characters.
const maxPlain = 80

// linkLike is what mail programs turn into a link by themselves. Dots of other
// scripts part a host name too (UTS #46 §4).
var linkLike = regexp.MustCompile(`://|(?i:www\.)|[\pL\pN][.。．｡]\pL{2,}|@`)

// plain makes a text that somebody chose (a name, a label) harmless in a mail
// that carries our name: one line, no control or direction characters, not too
// long, and "" when it holds a link.
func plain(s string) string {
	s = plainLine(s)
	if linkLike.MatchString(s) {
		return ""
	}
	if r := []rune(s); len(r) > maxPlain {
		return strings.TrimSpace(string(r[:maxPlain])) + "…"
	}
	return s
}

// plainLine makes a text one line without control or direction characters.
func plainLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200d', r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
