package web

import (
	"strconv"

	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/id"
)

func (s *Server) sessionsPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	live, err := s.Manage.List(r.Context(), m.caller)
	if err != nil {
		return err
	}
	f := r.frame(m)
	page := Sessions{}
	if page.Browsers, err = s.browsers(r, m); err != nil {
		return err
	}
	for _, l := range live {
		page.Items = append(page.Items, Session{ID: string(l.ID), Device: f.Words.Device(l.Seen.Agent), Place: l.Seen.Place,
			Network: l.Seen.Network, SignedInAt: l.MadeAt, SeenAt: l.LastUsedAt, This: l.Current})
	}
	return r.Render(f, page)
}

func (s *Server) endSessions(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	switch r.Text(FieldDo) {
	case DoEndOthers:
		res, err := s.Manage.EndOthers(r.Context(), m.caller)
		if err != nil {
			return err
		}
		return r.changed(res, "/account/sessions?done=ended-others")
	case DoEnd:
		session, err := id.Parse[id.Session](r.Text(FieldItem))
		if err != nil {
			return fault.New(fault.NotFound, err)
		}
		if err := s.Manage.EndSession(r.Context(), m.caller, session); err != nil {
			return err
		}
		if session == m.caller.Ticket.Session {
			r.ClearSession()
			return r.Redirect("/signed-out")
		}
		return r.Redirect("/account/sessions?done=ended")
	}
	return fault.New(fault.BadRequest, nil)
}

// historyPageSize is how many lines one page of the history has.
const historyPageSize = 50

func (s *Server) historyPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	before, _ := strconv.ParseInt(r.Query("before"), 10, 64)
	all, err := s.Manage.History(r.Context(), m.caller, max(before, 0), historyPageSize+1)
	if err != nil {
		return err
	}
	f := r.frame(m)
	page := History{}
	if len(all) > historyPageSize {
		all = all[:historyPageSize]
		page.Older = "/account/history?before=" + strconv.FormatInt(all[historyPageSize-1].Position, 10)
	}
	for _, e := range all {
		if h, shown := happening(f, e); shown {
			page.Items = append(page.Items, h)
		}
	}
	return r.Render(f, page)
}

// happening is an event as one line of the person's own history; false for what
// is not about them.
func happening(f Frame, e events.Event) (Happening, bool) {
	d, known := events.Lookup(e.Kind)
	if known && !d.Shown {
		return Happening{}, false
	}
	key, pairs := events.Phrase(f.Words, e)
	h := Happening{At: e.MadeAt, What: Text{key, pairs}, Place: e.Personal["place"], Network: e.Personal["network"], Refused: refusals[e.Kind]}
	if agent, ok := e.Personal["agent"]; ok {
		h.Device = f.Words.Device(agent)
	}
	return h, true
}

// refusals are the events that a history marks.
var refusals = map[events.Kind]bool{
	events.SignInRefused: true, events.SignInLimited: true, events.CodeRefused: true, events.FreshRefused: true,
}
