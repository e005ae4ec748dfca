package web

import (
	_ "embed"
	"strings"
)

// zones.txt is the third column of zone.tab of the time zone database (public
// domain): one place per zone and country, so that people find their own town.
//
//go:embed zones.txt
var zoneNames string

// zoneGroup is one continent of the zone choice.
type zoneGroup struct {
	Name  string
	Zones []zoneChoice
}

type zoneChoice struct{ Value, Town string }

// zones groups the names by continent. A chosen zone that is not in the list
// (an alias, say) comes first, so that saving the form never changes it.
func zones(chosen string) []zoneGroup {
	groups := []zoneGroup{{"UTC", []zoneChoice{{"UTC", "UTC"}}}}
	known := chosen == "" || chosen == "UTC"
	for name := range strings.Lines(zoneNames) {
		name = strings.TrimSpace(name)
		continent, town, _ := strings.Cut(name, "/")
		if continent != groups[len(groups)-1].Name {
			groups = append(groups, zoneGroup{Name: continent})
		}
		g := &groups[len(groups)-1]
		g.Zones = append(g.Zones, zoneChoice{name, strings.NewReplacer("_", " ", "/", " – ").Replace(town)})
		known = known || name == chosen
	}
	if !known {
		groups = append([]zoneGroup{{chosen, []zoneChoice{{chosen, chosen}}}}, groups...)
	}
	return groups
}
