package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// securityTextLife is how long a copy of security.txt may be believed. RFC 9116
// §2.5.5 recommends less than a year.
const securityTextLife = 90 * 24 * time.Hour

// changePassword sends password managers to the form (W3C "A well-known URL for
// changing passwords" §2): a redirect, never the form itself.
func (s *Server) changePassword(r *Request) error {
	return r.RedirectWith(http.StatusFound, "/account/password")
}

// securityText is RFC 9116: whom to tell about a hole in this installation.
func (s *Server) securityText(r *Request) error {
	expires := s.Now().UTC().Add(securityTextLife).Truncate(24 * time.Hour)
	text := fmt.Sprintf("Contact: %s\nExpires: %s\nPreferred-Languages: en\nCanonical: %s/.well-known/security.txt\n",
		s.securityContact(), expires.Format(time.RFC3339), s.Origin)
	return r.Send(http.StatusOK, "text/plain; charset=utf-8", []byte(text))
}

// securityContact falls back to the mailbox that RFC 2142 §4 reserves.
func (s *Server) securityContact() string {
	if s.SecurityContact != "" {
		return s.SecurityContact
	}
	host := s.origin.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		host = "localhost"
	}
	return "mailto:security@" + host
}
