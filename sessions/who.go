package sessions

import (
	"net/netip"

	"gatehouse/id"
)

// Who is at the other end: everything that is known about it without believing it.
type Who struct {
	Device  id.Device  // of the sealed device token; attempts are bound to it
	Network netip.Addr // of the client, after listed proxies
	Agent   string     // User-Agent header, bounded
	Place   string     // words, "" when not known
	Locale  string     // BCP 47, of the request
	Zone    string     // IANA time zone of the browser's clock, "" when not known
}

// Personal is what events keep of it, sealed under the account's key.
func (w Who) Personal() map[string]string {
	p := map[string]string{"agent": w.Agent, "device": string(w.Device)}
	if w.Network.IsValid() {
		p["network"] = w.Network.String()
	}
	if w.Place != "" {
		p["place"] = w.Place
	}
	return p
}

// Seen is what a session's row keeps of it, sealed.
func (w Who) Seen() Seen {
	s := Seen{Agent: w.Agent, Place: w.Place}
	if w.Network.IsValid() {
		s.Network = w.Network.String()
	}
	return s
}
