package peers_test

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"gatehouse/peers"
)

func TestAskingTellsHowEachPeerIs(t *testing.T) {
	database := listen(t)
	all := installation(t, 2, func(i int, o *peers.Options, h *peers.House) {
		o.Databases = []string{database.Addr().String()}
		h.Status = func(context.Context) peers.Status {
			return peers.Status{Version: "v9", Schema: 3, Database: true}
		}
		if i == 1 {
			o.Now = func() time.Time { return time.Now().Add(time.Minute) }
		}
	})
	meet(t, all)
	answers := all[0].Ask(t.Context())
	if a := answers[0]; !a.Self || a.Err != nil {
		t.Errorf("itself: %+v", a)
	}
	a := answers[1]
	if a.Err != nil || a.Lends != nil || a.Node != all[1].id || a.Status.Version != "v9" || a.Status.Schema != 3 || !a.Status.Database {
		t.Errorf("the peer: %+v", a)
	}
	if off := (a.Ahead - time.Minute).Abs(); off > a.Took {
		t.Errorf("its clock is a minute ahead and was found %v ahead, in %v", a.Ahead, a.Took)
	}
	if len(a.Status.Peers) != 2 || a.Status.Peers[0].Node != all[0].id {
		t.Errorf("whom it sees: %+v", a.Status.Peers)
	}
	database.Close()
	if a := all[0].Ask(t.Context())[1]; a.Err != nil || a.Lends == nil {
		t.Errorf("a peer that does not reach the database: %+v", a)
	}
}

func TestAskingTellsAStrangerFromAPeerThatIsAway(t *testing.T) {
	strangers := installation(t, 1, nil)
	keys, _ := newKeys(t)
	o := options(keys)
	gone := listen(t)
	gone.Close()
	o.Nodes = []string{strangers[0].address, gone.Addr().String()}
	p, err := peers.New(o)
	must(t, err)
	answers := p.Ask(t.Context())
	var unknown x509.UnknownAuthorityError
	if !errors.As(answers[0].Err, &unknown) || answers[0].Node != "" {
		t.Errorf("a stranger: %v", answers[0].Err)
	}
	if answers[1].Err == nil || errors.As(answers[1].Err, &unknown) {
		t.Errorf("nobody: %v", answers[1].Err)
	}
}
