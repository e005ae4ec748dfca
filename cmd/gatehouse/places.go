package main

import (
	"net/netip"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// places says where an address is, in words, from a city database in MMDB format.
// It is a hint for people ("Lisbon, Portugal"), often a town off; nothing is
// decided by it. It stays open for as long as the program runs.
type places struct{ db *maxminddb.Reader }

func openPlaces(path string) (*places, error) {
	if path == "" {
		return nil, nil
	}
	db, err := maxminddb.Open(path) // mapped, not read: a start does not wait for it
	if err != nil {
		return nil, next(err, "get the file again, or take places_file out; nothing else depends on it")
	}
	return &places{db}, nil
}

// of is "" for an address the database does not know.
func (p *places) of(a netip.Addr) string {
	if p == nil || !a.IsValid() {
		return ""
	}
	var found struct {
		City struct {
			Names map[string]string `maxminddb:"names"`
		} `maxminddb:"city"`
		Country struct {
			Names map[string]string `maxminddb:"names"`
		} `maxminddb:"country"`
	}
	if err := p.db.Lookup(a).Decode(&found); err != nil {
		return ""
	}
	var words []string
	for _, names := range []map[string]string{found.City.Names, found.Country.Names} {
		if name := names["en"]; name != "" {
			words = append(words, plain(name))
		}
	}
	return strings.Join(words, ", ")
}
