package drill

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Rates are operations a second. Load L1 (DRILLS.md) is the zero value filled in.
type Rates struct{ SignIns, Checks, Resets float64 }

// L1 is the load during every drill. Not until issue 5: 10 token refreshes and
// one OIDC code flow a second.
var l1 = Rates{SignIns: 4, Checks: 200, Resets: 0.2}

func (r Rates) times(f float64) Rates {
	return Rates{SignIns: r.SignIns * f, Checks: r.Checks * f, Resets: max(r.Resets, r.Resets*f)} // too few of these say nothing
}

// mostUnderWay bounds what waits for an answer, so that a server that hangs does
// not grow the drill.
const mostUnderWay = 4000

// load is people at work.
type load struct {
	client  *client
	now     func() time.Time
	crowd   *crowd
	resets  *crowd // people whose passwords are reset and who do nothing else
	journal *Journal
	samples *samples
	mail    *sink

	skew    atomic.Int64 // of everybody's phone, where a drill moves all clocks
	under   atomic.Int64
	skipped atomic.Int64 // operations not begun because mostUnderWay were
	all     sync.WaitGroup
	stop    context.CancelFunc
	next    atomic.Uint64
}

// phone is the time on everybody's phone.
func (l *load) phone() time.Time { return l.now().Add(time.Duration(l.skew.Load())) }

// start begins; end waits until everything under way is answered.
func (l *load) start(ctx context.Context, r Rates) {
	ctx, l.stop = context.WithCancel(ctx)
	l.paced(ctx, r.SignIns, l.signIn)
	l.paced(ctx, r.Checks, l.check)
	l.paced(ctx, r.Resets, l.reset)
}

func (l *load) end() {
	if l.stop != nil {
		l.stop()
	}
	l.all.Wait()
}

// paced begins do so often a second, whatever became of those before: people do
// not wait for each other. What is under way when the load ends is answered.
func (l *load) paced(ctx context.Context, rate float64, do func(context.Context)) {
	if rate <= 0 {
		return
	}
	l.all.Go(func() {
		tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.begin(context.WithoutCancel(ctx), do)
			}
		}
	})
}

func (l *load) begin(ctx context.Context, do func(context.Context)) {
	if l.under.Add(1) > mostUnderWay {
		l.under.Add(-1)
		l.skipped.Add(1)
		return
	}
	l.all.Go(func() {
		defer l.under.Add(-1)
		do(ctx)
	})
}

func (l *load) note(op Op, begun time.Time, why string, later bool) {
	l.samples.add(Sample{Op: op, At: begun, Took: l.now().Sub(begun), OK: why == "", Why: why, Later: later})
}

func (l *load) signIn(ctx context.Context) {
	p := l.crowd.take(l.phone())
	if p == nil {
		return
	}
	defer l.crowd.back(p)
	begun := l.now()
	r, why := l.client.signIn(ctx, p, l.now, l.phone)
	if why == "" {
		l.journal.Told(r)
	}
	l.note(SignIn, begun, why, false)
}

// checked is how many of the newest sessions are asked about in turn.
const checked = 200

func (l *load) check(ctx context.Context) {
	living := l.journal.last(checked)
	if len(living) == 0 {
		return
	}
	r := living[l.next.Add(1)%uint64(len(living))]
	begun := l.now()
	a, err := l.client.check(ctx, r.Ticket)
	switch {
	case err != nil:
		l.note(Check, begun, brief(err), false)
	case a.Status != 200 || !a.Active:
		l.note(Check, begun, a.why(), false)
	default:
		l.note(Check, begun, "", false)
	}
}

// reset asks for a mail, opens its link and chooses a new password. It may be
// put off (503 with Retry-After), and the mail may come late; all else is a failure.
func (l *load) reset(ctx context.Context) {
	p := l.resets.take(l.phone())
	if p == nil {
		return
	}
	defer l.resets.back(p)
	begun, from := l.now(), l.client.network()
	a, err := l.client.forgot(ctx, p.Email, from)
	if err != nil {
		l.note(Reset, begun, brief(err), false)
		return
	}
	if a.Status != 200 {
		l.note(Reset, begun, a.why(), a.Later)
		return
	}
	l.note(Reset, begun, "", false)
	ctx, cancel := context.WithTimeout(ctx, mailPatience)
	defer cancel()
	if token := l.mail.link(ctx, p.Email, begun); token != "" {
		l.finish(ctx, p, token, from)
	}
}

// mailPatience is how long somebody waits for a mail before doing something else.
const mailPatience = 5 * time.Second

// finish opens a mailed link and takes the steps that are asked for.
func (l *load) finish(ctx context.Context, p *Person, token, from string) {
	begun := l.now()
	fresh := fmt.Sprintf("lighthouse number %d of the coast", l.next.Add(1))
	a, err := l.client.ask(ctx, call{method: "POST", path: "/api/v1/link", from: from, body: map[string]string{"token": token, "device": p.device}})
	for range 4 {
		if err != nil || a.Error.Code != "" || a.Next == "done" {
			break
		}
		body := map[string]string{"attempt": a.Attempt, "device": a.Device}
		path := "/api/v1/signin/" + a.Next
		switch a.Next {
		case "totp":
			body["code"], _, err = p.use(l.phone())
		case "new-password":
			body["password"] = fresh
		default:
			l.note(Reset, begun, "link: asks for "+a.Next, false)
			return
		}
		if err == nil {
			a, err = l.client.ask(ctx, call{method: "POST", path: path, from: from, body: body})
		}
	}
	switch {
	case err != nil:
		l.note(Reset, begun, "link: "+brief(err), false)
	case a.Next != "done":
		l.note(Reset, begun, "link: "+a.why(), a.Later)
	default:
		p.password = fresh
		l.journal.EndedOf(p.Account)
		l.journal.Told(Receipt{Session: a.Session.ID, Account: a.Session.Account, Email: p.Email, Ticket: a.Session.Ticket, Step: p.last, At: l.now()})
		l.note(Reset, begun, "", false)
	}
}
