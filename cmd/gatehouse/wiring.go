package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/mail"
	"runtime"
	"sync/atomic"
	"time"

	"gatehouse/authenticators"
	"gatehouse/flow"
	"gatehouse/limits"
	"gatehouse/notices"
	"gatehouse/seal"
)

// What the packages below call things, made from the settings.

func (l *Loaded) hashesAtOnce() int {
	if l.HashesAtOnce > 0 {
		return l.HashesAtOnce
	}
	return runtime.GOMAXPROCS(0)
}

// limits spends one setting on everything that can be guessed about a name: its
// password and its codes, from anywhere, from a device of its own, or with a link.
func (l *Loaded) limits() flow.Limits {
	rules := flow.DefaultLimits()
	for _, r := range []*limits.Rule{&rules.PerName, &rules.PerDevice, &rules.PerLink, &rules.CodeName, &rules.CodeDevice} {
		r.Max, r.Per = l.NameTries, l.NameWindow
	}
	rules.PerNetwork.Max, rules.PerNetwork.Per = l.NetworkTries, l.NetworkTime
	rules.Mail.Max, rules.MailNet.Max = l.Mails, l.NetworkMails
	return rules
}

// changesPerSecond is how often one person may write to the database: more than
// hands can do, and far less than it takes to be in anybody's way.
const changesPerSecond = 10

// sender is how mails leave.
func (l *Loaded) sender() (notices.Sender, error) {
	if l.MailFolder != "" {
		return &notices.Folder{Dir: l.MailFolder, From: l.from()}, nil
	}
	s := &notices.SMTP{Host: l.MailHost, Port: l.MailPort, TLS: notices.TLSMode(l.MailTLS), Username: l.MailUser, From: l.MailFrom}
	if l.MailPassword != "" {
		var err error
		if s.Password, err = readSecret(l.MailPassword); err != nil {
			return nil, err
		}
	}
	return s, next(s.Check(), "see: gatehouse config check")
}

// from is the sender of mails that are only written to a folder, where nobody
// has to name one.
func (l *Loaded) from() string {
	if l.MailFrom != "" {
		return l.MailFrom
	}
	return (&mail.Address{Name: l.Product, Address: "gatehouse@localhost"}).String()
}

// ranges asks an outside service about new passwords, when that is wanted.
func (l *Loaded) ranges(log *slog.Logger) *authenticators.Ranges {
	if !l.Pwned {
		return nil
	}
	return &authenticators.Ranges{Client: &http.Client{}, Base: l.PwnedURL, Failed: func(err error) {
		log.Warn("the online check of a new password had no answer; it was not held against the person", "error", err)
	}}
}

// breachedFile is the operator's filter, read in the background because it can be
// larger than a start may wait for.
type breachedFile struct {
	done   chan struct{} // closed when filter and err are there
	filter *authenticators.Breached
	err    error
	ranges *authenticators.Ranges
}

func openBreached(path string, ranges *authenticators.Ranges) *breachedFile {
	b := &breachedFile{done: make(chan struct{}), ranges: ranges}
	go func() {
		defer close(b.done)
		if path != "" {
			b.filter, b.err = authenticators.OpenBreached(path)
		}
	}()
	return b
}

// breachedWait is how long a person waits for the filter in the first moments
// after a start.
const breachedWait = 5 * time.Second

func (b *breachedFile) contains(ctx context.Context, pw seal.Secret) bool {
	select {
	case <-b.done:
	case <-ctx.Done():
	case <-time.After(breachedWait):
	}
	select {
	case <-b.done:
		if b.filter.Contains(pw) {
			return true
		}
	default: // still reading: it fails open, as the online check does
	}
	found, _ := b.ranges.Contains(ctx, pw)
	return found
}

// mailAge remembers how long the oldest due mail has waited, so that a scrape
// never asks the database.
type mailAge struct{ nanos atomic.Int64 }

func (m *mailAge) waiting() time.Duration   { return time.Duration(m.nanos.Load()) }
func (m *mailAge) set(since, now time.Time) { m.nanos.Store(int64(max(0, now.Sub(since)))) }
func (m *mailAge) nothing()                 { m.nanos.Store(0) }
