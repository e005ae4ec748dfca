// Package words is the message catalogue: every sentence a person reads on a
// page or in a mail stands here, one folder per language, English first.
//
// An entry is a key and a text with {name} placeholders. An entry that depends
// on a number n has two keys, "x.one" and "x.other"; ask for "x" and pass n.
package words

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
)

//go:embed en/*.json
var files embed.FS

// Catalogue holds the texts of one language.
type Catalogue struct {
	Lang  string // BCP 47, for <html lang>
	texts map[string]string
}

var load = sync.OnceValues(func() (map[string]*Catalogue, error) {
	all := map[string]*Catalogue{}
	langs, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, l := range langs {
		if all[l.Name()], err = read(l.Name()); err != nil {
			return nil, err
		}
	}
	return all, nil
})

func read(lang string) (*Catalogue, error) {
	c := &Catalogue{Lang: lang, texts: map[string]string{}}
	entries, err := files.ReadDir(lang)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		raw, err := files.ReadFile(path.Join(lang, e.Name()))
		if err != nil {
			return nil, err
		}
		var texts map[string]string
		if err := json.Unmarshal(raw, &texts); err != nil {
			return nil, fmt.Errorf("words/%s/%s: %w", lang, e.Name(), err)
		}
		for k, t := range texts {
			if _, twice := c.texts[k]; twice {
				return nil, fmt.Errorf("words/%s/%s: %q stands in two files", lang, e.Name(), k)
			}
			c.texts[k] = t
		}
	}
	return c, nil
}

// Check reports a catalogue that cannot be read; the program asks once at start.
func Check() error {
	_, err := load()
	return err
}

// For picks the first language we have out of wishes (BCP 47 tags, most wanted
// first; a region is ignored when we only have the language), else English.
func For(wishes ...string) *Catalogue {
	all, err := load()
	if err != nil {
		panic(err) // embedded at build time; Check and the tests catch it
	}
	for _, w := range wishes {
		base, _, _ := strings.Cut(strings.ToLower(w), "-")
		if c, ok := all[base]; ok {
			return c
		}
	}
	return all["en"]
}

// Languages lists the languages of this build, in order.
func Languages() []string {
	all, err := load()
	if err != nil {
		panic(err) // as in For
	}
	return slices.Sorted(maps.Keys(all))
}

// Say returns the text of key with its placeholders filled from name, value
// pairs. When one pair is named "n" and key has plural forms, n chooses. A key
// that is missing comes back in ⟦brackets⟧ so that a test sees it.
func (c *Catalogue) Say(key string, pairs ...any) string {
	t, ok := c.texts[key]
	if !ok {
		t, ok = c.texts[key+"."+plural(pairs)]
	}
	if !ok {
		return "⟦" + key + "⟧"
	}
	if len(pairs) < 2 {
		return t
	}
	fill := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		fill = append(fill, "{"+fmt.Sprint(pairs[i])+"}", fmt.Sprint(pairs[i+1]))
	}
	return strings.NewReplacer(fill...).Replace(t)
}

// Has tells whether a key (or its plural forms) exists.
func (c *Catalogue) Has(key string) bool {
	_, one := c.texts[key]
	_, many := c.texts[key+".other"]
	return one || many
}

// Keys lists every key in order, for tests.
func (c *Catalogue) Keys() []string {
	keys := make([]string, 0, len(c.texts))
	for k := range c.texts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func plural(pairs []any) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "n" && fmt.Sprint(pairs[i+1]) == "1" {
			return "one"
		}
	}
	return "other"
}
