package notices

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const ana id.Account = "0199f000-0000-7000-8000-00000000aaaa"

// answers is a sender that says always the same.
type answers struct {
	err  error
	sent []Mail
}

func (a *answers) Send(_ context.Context, m Mail) error {
	a.sent = append(a.sent, m)
	return a.err
}

// ringing is a house's notices, what they logged, and a mail that can be worded.
func ringing() (*Notices, *bytes.Buffer, outbox.Message) {
	var said bytes.Buffer
	n := office()
	n.Now, n.Logger = func() time.Time { return made }, slog.New(slog.NewTextHandler(&said, nil))
	m := about(outbox.Reset)
	for _, field := range []string{outbox.Time, outbox.Left} {
		delete(m.Fields, field)
	}
	return n, &said, m
}

func TestHowASendingWentIsToldByItsClassAlone(t *testing.T) {
	for name, row := range map[string]struct {
		err   error
		want  outbox.Class
		tells string // the log says it
		hides string // … and not this
	}{
		"taken":                {nil, outbox.Done, "", "ana@"},
		"a mailbox is full":    {&Failure{outbox.Later, errors.New("451 ana@example.com: later")}, outbox.Later, "why=later", "ana@"},
		"the server is away":   {&Failure{outbox.Unreachable, errors.New("connection refused")}, outbox.Unreachable, "connection refused", "ana@"},
		"nobody knows what":    {errors.New("ana@example.com is odd"), outbox.Other, "why=other", "ana@"},
		"an address that none": {&Failure{outbox.Unwritable, errors.New("ana@@")}, outbox.Unwritable, "why=unwritable", "ana@"},
	} {
		n, said, m := ringing()
		to := &answers{err: row.err}
		if got := n.Deliver(t.Context(), to, m); got != row.want || len(to.sent) != 1 {
			t.Errorf("%s: %q, %d sent", name, got, len(to.sent))
		}
		if !strings.Contains(said.String(), row.tells) || strings.Contains(said.String(), row.hides) {
			t.Errorf("%s: the log says %s", name, said)
		}
	}
}

func TestWhatCannotBeWordedOrHasRunOutIsNotSent(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(*Notices, *outbox.Message)
		want  outbox.Class
	}{
		"a link that is not ours": {func(_ *Notices, m *outbox.Message) { m.Fields[outbox.Link] = "https://evil.example/secret-link" }, outbox.Unwritable},
		"a kind without a text":   {func(_ *Notices, m *outbox.Message) { m.Kind = outbox.Void }, outbox.Unwritable},
		"a link that has run out": {func(n *Notices, m *outbox.Message) { n.Now = func() time.Time { return m.Expires } }, outbox.Expired},
	} {
		n, said, m := ringing()
		row.spoil(n, &m)
		to := &answers{}
		if got := n.Deliver(t.Context(), to, m); got != row.want || len(to.sent) != 0 {
			t.Errorf("%s: %q, %d sent", name, got, len(to.sent))
		}
		if strings.Contains(said.String(), "secret-link") || strings.Contains(said.String(), "ana@") {
			t.Errorf("%s: the log tells too much: %s", name, said)
		}
	}
}

func TestAMailThatIsGivenUpStandsInItsOwnersHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		dir := t.TempDir() + "/keys"
		if err := seal.InitKeys(dir); err != nil {
			t.Fatal(err)
		}
		keys, err := seal.LoadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		n := &Notices{Log: events.New(keys, rand.Reader)}
		err = s.Do(t.Context(), func(tx *store.Tx) error {
			if err := n.GivenUp(tx, outbox.Past{ID: "1", Kind: outbox.NewDevice, Account: ana, Tries: 7, Why: outbox.Refused}); err != nil {
				return err
			}
			found, err := n.Log.ForAccount(tx, ana, 0, 10)
			if len(found) != 1 || found[0].Kind != events.MailGivenUp || found[0].Data["error"] != "refused" || found[0].Data["tries"] != "7" {
				t.Errorf("recorded %+v", found)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
