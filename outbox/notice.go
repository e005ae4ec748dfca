package outbox

import (
	"net/netip"
	"time"

	"gatehouse/id"
	"gatehouse/words"
)

// To is the person a mail is for.
type To struct {
	Account id.Account
	Email   string
	Name    string
	Locale  string // BCP 47
	Zone    string // IANA
}

// About is what a mail tells about: when, and from which device and place.
type About struct {
	At      time.Time
	Agent   string // User-Agent header
	Place   string // words, "" when not known
	Network netip.Addr
}

// Notice begins a mail to a person about something that has happened. Fields that
// are not known are left out.
func Notice(kind Kind, message id.Message, to To, about About) Message {
	m := Message{ID: message, Kind: kind, Account: to.Account, To: to.Email, Locale: to.Locale, Fields: map[string]string{
		Time: about.At.UTC().Format(time.RFC3339), Device: words.For(to.Locale).Device(about.Agent)}}
	put := func(field, value string) {
		if value != "" {
			m.Fields[field] = value
		}
	}
	put(Name, to.Name)
	put(Zone, to.Zone)
	put(Place, about.Place)
	if about.Network.IsValid() {
		put(Network, about.Network.String())
	}
	return m
}
