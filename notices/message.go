package notices

import (
	"errors"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"gatehouse/outbox"
)

// message makes the mail as it goes over the wire: text and HTML, nothing else.
func message(m Mail, from string) (*mail.Msg, error) {
	sender, err := netmail.ParseAddress(from)
	if err != nil {
		return nil, &Failure{outbox.Other, errors.New("notices: mail.from is no address")} // our mistake: keep the mail
	}
	to, err := recipient(m.To)
	if err != nil {
		return nil, &Failure{outbox.Unwritable, err}
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithCharset(mail.CharsetUTF8))
	msg.FromMailAddress(sender)
	msg.ToMailAddress(to)
	msg.Subject(plainLine(m.Subject))
	msg.SetMessageIDWithValue(m.ID + "@" + domain(sender.Address))
	msg.SetDateWithValue(m.Made)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: no holiday replies to us
	if m.Lang != "" {
		msg.SetGenHeader("Content-Language", m.Lang) // RFC 3282
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	return msg, nil
}

var errAddress = errors.New("notices: not one plain address")

// recipient accepts one bare address and nothing that an address list could be
// made of. Domains in other scripts are written as RFC 5891 wants them.
func recipient(address string) (*netmail.Address, error) {
	if strings.ContainsAny(address, "\r\n\x00<>,;\" ") {
		return nil, errAddress
	}
	parsed, err := netmail.ParseAddress(address)
	if err != nil || parsed.Address != address {
		return nil, errAddress
	}
	ascii, err := idna.Lookup.ToASCII(domain(address))
	if err != nil {
		return nil, errAddress
	}
	return &netmail.Address{Address: address[:strings.LastIndexByte(address, '@')+1] + ascii}, nil
}

func domain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
