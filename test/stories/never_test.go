package stories

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/limits"
	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/store/storetest"
	"gatehouse/test/house"
)

// knows is what somebody who tries to come in as a person has of theirs.
type knows struct{ password, phone, paper, mailbox bool }

// intruder takes steps in any order, with whatever attempts they have seen.
type intruder struct {
	h     *house.House
	p     *house.Person
	has   knows
	seen  []string // sealed attempts, every one
	doors []*house.Browser
	in    []house.Reply
}

// do takes one step; codes and passwords are right only if the intruder has them.
func (x *intruder) do(rt *rapid.T) {
	b := rapid.SampledFrom(x.doors).Draw(rt, "browser")
	if len(x.seen) > 0 && rapid.Bool().Draw(rt, "an old attempt") {
		b.Attempt = rapid.SampledFrom(x.seen).Draw(rt, "attempt")
	}
	right := rapid.IntRange(0, 3).Draw(rt, "right") > 0
	pick := func(ok bool, good, bad string) string {
		if ok && right {
			return good
		}
		return bad
	}
	var r house.Reply
	switch step := rapid.SampledFrom([]string{"password", "code", "recovery", "enrol", "confirm", "choose", "resend", "forgot", "unlock", "link", "wait", "fresh", "begin", "all at once"}).Draw(rt, "step"); step {
	case "begin":
		b.Attempt = ""
		return
	case "password":
		r = b.API("/signin", map[string]any{"email": x.p.Email, "password": pick(x.has.password, x.p.Password, "a guess and no more")})
	case "all at once":
		x.h.Clock.Forward(30 * time.Second) // so that the code is one that was not used
		b.Attempt = ""
		b.API("/signin", map[string]any{"email": x.p.Email, "password": pick(x.has.password, x.p.Password, "a guess and no more")})
		if b.Attempt != "" {
			x.seen = append(x.seen, b.Attempt)
		}
		r = b.API("/signin/totp", map[string]any{"code": pick(x.has.phone && x.p.Phone != "", x.code(), "000000")})
	case "code":
		r = b.API("/signin/totp", map[string]any{"code": pick(x.has.phone && x.p.Phone != "", x.code(), "000000")})
	case "recovery":
		code := "0000-0000-0000-0000"
		if len(x.p.Codes) > 0 {
			code = pick(x.has.paper, rapid.SampledFrom(x.p.Codes).Draw(rt, "paper"), code)
		}
		r = b.API("/signin/recovery-code", map[string]any{"code": code})
	case "enrol": // whoever is shown a secret has a phone for it
		asked := b.API("/signin/resume", nil)
		code := "000000"
		if secret := asked.Field("enrol.secret"); secret != "" {
			code = house.CodeAt(secret, x.h.Clock.Now())
		}
		r = b.API("/signin/enrol-totp", map[string]any{"code": code})
	case "confirm":
		r = b.API("/signin/recovery-codes", map[string]any{"confirmed": right})
	case "choose":
		r = b.API("/signin/new-password", map[string]any{"password": fmt.Sprintf("an intruder's own choice %d", rapid.IntRange(0, 2).Draw(rt, "n"))})
	case "resend":
		r = b.API("/signin/resend-link", nil)
	case "forgot", "unlock":
		r = b.API("/"+step, map[string]any{"email": x.p.Email})
	case "link":
		token := "not a token of ours"
		x.h.Settled()
		if mails := x.h.Mailbox.All(x.p.Email, ""); x.has.mailbox && len(mails) > 0 {
			token = house.TokenIn(rapid.SampledFrom(mails).Draw(rt, "mail"))
		}
		r = b.API("/link", map[string]any{"token": token})
	case "fresh":
		b.Get("/fresh")
		r = b.Post("/fresh", "password", pick(x.has.password, x.p.Password, "a guess and no more"))
	case "wait":
		x.h.Clock.Forward(rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, 31 * time.Minute}).Draw(rt, "for"))
		return
	}
	if r.Status >= 500 {
		rt.Fatalf("a step broke us: %s", r.Body)
	}
	if b.Attempt != "" {
		x.seen = append(x.seen, b.Attempt)
	}
	if r.Next() == "done" {
		x.in = append(x.in, r)
		x.judge(rt, r)
	}
}

func (x *intruder) code() string {
	if x.p.Phone == "" {
		return ""
	}
	return x.p.Code()
}

// judge looks at a session that was just opened.
func (x *intruder) judge(rt *rapid.T, r house.Reply) {
	ticket, _, err := x.h.Sessions.Check(r.Field("session.ticket"), x.h.Clock.Now())
	if err != nil {
		rt.Fatalf("a session that does not stand: %v", err)
	}
	if proof.LevelOf(ticket.Proofs) < proof.AAL2 {
		rt.Fatalf("a session on %v", ticket.Proofs)
	}
}

// generous are limits that stop nobody, so that they do not hide what else would.
func generous(o *house.Options) {
	for _, r := range []*limits.Rule{&o.Limits.PerName, &o.Limits.PerDevice, &o.Limits.PerLink, &o.Limits.PerNetwork, &o.Limits.CodeName, &o.Limits.CodeDevice, &o.Limits.CodeMonth, &o.Limits.Change, &o.Limits.Mail, &o.Limits.MailNet} {
		r.Max = 100_000
	}
}

func TestWhateverTheOrderOfStepsNobodyComesInWithoutBothProofs(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), generous)
	names := 0
	person := func(sort string) *house.Person {
		names++
		name := fmt.Sprintf("person%d", names)
		switch sort {
		case "ready":
			return h.Person(name)
		case "full":
			p := h.Invited(name)
			p.Arrives()
			return p
		case "half": // invited, has chosen a password, has no app
			p := h.Invited(name)
			p.OpensLink(outbox.Invitation).Asks("new-password")
			p.API("/signin/new-password", map[string]any{"password": p.Password}).Asks("enrol-totp")
			h.Settled()
			return p
		}
		return h.Invited(name)
	}
	for _, c := range []struct {
		name string
		sort string
		has  knows
	}{
		{"somebody with the password alone", "full", knows{password: true}},
		{"somebody with the phone alone", "full", knows{phone: true, paper: true}},
		{"somebody with the mailbox alone", "full", knows{mailbox: true}},
		{"somebody with the password and the mailbox", "full", knows{password: true, mailbox: true}},
		{"somebody with the password of a person who has no app yet", "half", knows{password: true}},
		{"somebody without the mailbox of an invited person", "invited", knows{password: true, phone: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				p := person(c.sort)
				before := h.Count("sessions", "account = $1", string(p.Account))
				apps := h.Count("totp", "account = $1", string(p.Account))
				x := &intruder{h: h, p: p, has: c.has, doors: []*house.Browser{h.Browser("203.0.113.66"), h.Browser("203.0.113.67")}}
				for range rapid.IntRange(3, 25).Draw(rt, "steps") {
					x.do(rt)
				}
				if len(x.in) != 0 || h.Count("sessions", "account = $1", string(p.Account)) != before {
					rt.Fatalf("%s came in", c.name)
				}
				if h.Count("totp", "account = $1", string(p.Account)) != apps {
					rt.Fatalf("%s enrolled an app", c.name)
				}
				if h.Count("events", "account = $1 AND kind IN ('password.changed', 'password.reset')", string(p.Account)) != 0 {
					rt.Fatalf("%s changed the password", c.name)
				}
			})
		})
	}
}

func TestWhateverTheOrderOfStepsACodeOpensOneDoor(t *testing.T) {
	h := house.New(t, storetest.SQLite(t), generous)
	names, sessions := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		names++
		p := h.Invited(fmt.Sprintf("person%d", names))
		p.Arrives()
		x := &intruder{h: h, p: p, has: knows{true, true, true, true}, doors: []*house.Browser{p.Browser, h.Browser("203.0.113.67")}}
		for range rapid.IntRange(10, 40).Draw(rt, "steps") {
			x.do(rt)
			if x.h.Count("totp", "account = $1", string(p.Account)) != 1 {
				rt.Fatal("not one app")
			}
		}
		opened := h.Count("sessions", "account = $1", string(p.Account))
		codes := h.Count("totp_used", "used_by <> 'nobody' AND authenticator IN (SELECT id FROM totp WHERE account = $1)", string(p.Account)) +
			h.Count("recovery_codes", "spent_at IS NOT NULL AND recovery_set IN (SELECT id FROM recovery_sets WHERE account = $1)", string(p.Account))
		if opened > codes {
			rt.Fatalf("%d sessions with %d codes", opened, codes)
		}
		sessions += opened
	})
	t.Logf("%d sessions of %d people", sessions, names)
	if sessions < names+names/4 {
		t.Errorf("the control: %d sessions of %d people; the steps hardly ever lead in", sessions, names)
	}
}
