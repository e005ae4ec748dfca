package web

import (
	"net/url"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/seal"
	"gatehouse/words"
)

// --- a second way in ---

// remindAfter is how long somebody with one second authenticator is left in peace
// between two pages that offer another.
const remindAfter = 14 * 24 * time.Hour

// bySecond is where a sign-in leads: to the page that offers a second way in, for
// somebody who has one only, when they have just set that up and once in a while
// afterwards. Nothing is read for it: the commit that opened the session knew.
func (r *Request) bySecond(out flow.Outcome, to string) string {
	if out.View.Seconds != 1 || out.View.Purpose == flow.Fresh || out.Session.Standby || r.server.Moves == nil {
		return to
	}
	if _, recovered := proof.Find(out.Session.Proofs, proof.RecoveryCode); recovered {
		return to // they have another worry: see the reminders
	}
	if !out.View.SecondNew && (r.server.Now().Sub(out.View.SecondSince) < remindAfter || r.left(out)) {
		return to
	}
	if to == "/account" {
		return "/account/second"
	}
	return "/account/second?" + FieldReturn + "=" + url.QueryEscape(to)
}

// left tells whether this browser's person was asked lately and said "later".
func (r *Request) left(out flow.Outcome) bool {
	plain, ok := r.openSealed(seal.Flash, r.server.cookies.later)
	return ok && string(plain) == "later "+string(out.Session.Account)
}

func (s *Server) secondPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	back := orElse(returnPath(r.Query(FieldReturn)), "/account")
	page := Second{Form: Form{Return: back}, Offers: s.offers(m)}
	switch {
	case m.about.Due != nil:
		page.By = r.frame(m).day(m.about.Due.By)
	case len(m.about.Seconds) == 1:
		page.First = s.Now().Sub(m.about.Seconds[0].MadeAt) < time.Hour
	default:
		return r.Redirect(back)
	}
	return r.Render(r.frame(m), page)
}

// day is a date as the reader's pages say it.
func (f Frame) day(at time.Time) string {
	c := f.Words
	if c == nil {
		c = words.For()
	}
	return f.local(c.Say, at).Day
}

// offers are the pages where a second authenticator can be added, the best first:
// where others will be asked for soon, only what is enough then.
func (s *Server) offers(m member) Ways {
	var all Ways
	for _, a := range adds {
		if due := m.about.Due; due != nil && !due.Missing.Suffices(a.method) {
			continue
		}
		if slices.Contains(s.addsFor(m.about), a.Add) {
			all = append(all, Way{a.Href, *Say("second." + a.Kind)})
		}
	}
	return all
}

// laterSecond leaves the person in peace for a while, in this browser.
func (s *Server) laterSecond(r *Request) error {
	t, err := r.Session()
	if err != nil {
		return err
	}
	if err := r.setSealed(seal.Flash, s.cookies.later, remindAfter, []byte("later "+string(t.Account))); err != nil {
		return err
	}
	return r.Redirect(orElse(returnPath(r.Text(FieldReturn)), "/account"))
}

// --- what the account page reminds of ---

// Reminder is something that waits for the person, said calmly on their account page.
type Reminder struct {
	Text Text
	Href string
	Link Text
}

// reminders are read for the account page alone. What cannot be told now is left
// out: a reminder is worth no error.
func (s *Server) reminders(r *Request, m member) []Reminder {
	var all []Reminder
	if s.Moves == nil {
		return nil
	}
	at, err := s.Moves.Moving(r.Context(), m.caller)
	if err == nil && at.Why != "" {
		all = append(all, Reminder{*Say("remind.moving"), "/account/moving", *Say("remind.moving-link")})
	}
	if due := m.about.Due; due != nil {
		all = append(all, Reminder{*Say("remind.due", "day", r.frame(m).day(due.By)), "/account/second", *Say("remind.due-link")})
	}
	if _, recovered := proof.Find(m.caller.Ticket.Proofs, proof.RecoveryCode); recovered && at.Why == "" {
		all = append(all, Reminder{*Say("remind.recovered", "n", m.about.RecoveryLeft), "/account/moving?why=lost", *Say("remind.recovered-link")})
	} else if len(m.about.Seconds) == 1 && at.Why == "" && m.about.Due == nil {
		all = append(all, Reminder{*Say("remind.second", "name", m.about.Seconds[0].Name), "/account/second", *Say("remind.second-link")})
	}
	return all
}

// --- remembered browsers ---

// Browser is a remembered browser on the page of sessions.
type Browser struct {
	ID     string
	Name   string
	MadeAt time.Time
	UsedAt time.Time // zero: not since
	Until  time.Time
}

// browsers are listed beside the sessions.
func (s *Server) browsers(r *Request, m member) ([]Browser, error) {
	if s.Moves == nil {
		return nil, nil
	}
	kept, err := s.Moves.Remembered(r.Context(), m.caller)
	var all []Browser
	for _, c := range kept {
		all = append(all, Browser{ID: string(c.ID), Name: c.Name, MadeAt: c.MadeAt, UsedAt: c.LastUsedAt, Until: c.ExpiresAt})
	}
	return all, err
}

// forgetBrowser takes do=forget and id; without an id, all of them.
func (s *Server) forgetBrowser(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	var browser id.Authenticator
	if text := r.Text(FieldItem); text != "" {
		if browser, err = id.Parse[id.Authenticator](text); err != nil {
			return fault.New(fault.NotFound, err)
		}
	}
	if err := s.Moves.ForgetBrowser(r.Context(), m.caller, browser); err != nil {
		return err
	}
	return r.Redirect("/account/sessions?done=forgotten")
}
