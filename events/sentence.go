package events

import "gatehouse/words"

// Sentence says in plain words what happened, for the person it concerns, as in
// "Sign-in refused: the password did not match". Device, place and time stand
// beside it on the page; a sentence names them only where it would be empty without.
func Sentence(c *words.Catalogue, e Event) string {
	key, pairs := Phrase(c, e)
	return c.Say(key, pairs...)
}

// Phrase is Sentence not said yet: its catalogue key, with name, value pairs.
func Phrase(c *words.Catalogue, e Event) (key string, pairs []any) {
	d, known := Lookup(e.Kind)
	if !known || e.Parked {
		return "event.parked", nil
	}
	key = d.Sentence()
	if exact := key + "." + e.Data[d.By]; d.By != "" && c.Has(exact) {
		key = exact
	}
	return key, fill(c, d, e)
}

// fill gives every declared field a text, so that no sentence shows a {hole}:
// personal data may be erased, and places are often unknown.
func fill(c *words.Catalogue, d Definition, e Event) []any {
	var pairs []any
	for _, field := range d.Data {
		pairs = append(pairs, field, orElse(e.Data[field], c.Say("event.unknown")))
	}
	for _, field := range d.Personal {
		if field != "device" && field != "agent" {
			pairs = append(pairs, field, orElse(e.Personal[field], c.Say("event.unknown."+field)))
		}
	}
	n := orElse(e.Data["left"]+e.Data["count"], c.Say("event.unknown.n")) // no kind has both
	return append(pairs, "n", n, "device", c.Device(e.Personal["agent"]))
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
