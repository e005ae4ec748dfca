package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/id"
	"gatehouse/peers"
	"gatehouse/seal"
	"gatehouse/store"
)

// PeersCommand looks after the talk between nodes.
type PeersCommand struct {
	Check PeersCheck `cmd:"" help:"Ask each node of peers.nodes: who it is, whether it belongs here, its version, schema and clock, and whether it would lend its way to the database."`
}

// PeersCheck asks each peer.
type PeersCheck struct {
	JSON bool `help:"Write one JSON object a peer instead of a table."`
}

// clockApart is how far two nodes' clocks may differ before somebody should look:
// codes of authenticator apps live 30 s.
const clockApart = 2 * time.Second

// Run asks all at once and exits with 1 when one is not well.
func (c *PeersCheck) Run(ctx context.Context, p *program) error {
	l, err := p.mustLoad(nil)
	if err != nil {
		return err
	}
	if len(l.PeersNodes) == 0 {
		return next(errors.New("peers.nodes is not set, so there is nobody to ask"), "list the other nodes under peers.nodes; docs/peers.md says how")
	}
	h := &house{l: l, slog: slog.New(slog.DiscardHandler), clock: newClock()}
	if h.keys, err = seal.LoadKeys(l.KeysDir); err != nil {
		return err
	}
	if err := h.openPeers(ownName(l.DataDir)); err != nil {
		return err
	}
	s, err := openStore(ctx, l, "", time.Now, nil) // for the schema it knows; it asks nothing
	if err != nil {
		return err
	}
	defer s.Close()
	return c.tell(p.out, h.peers.Ask(ctx), s)
}

// ownName is this node's name where it can be read, so that its own address in
// peers.nodes is told from the others.
func ownName(dataDir string) id.Node {
	text, err := os.ReadFile(filepath.Join(dataDir, "node"))
	if node, bad := id.Parse[id.Node](strings.TrimSpace(string(text))); err == nil && bad == nil {
		return node
	}
	return id.New[id.Node](time.Now(), rand.Reader)
}

func (c *PeersCheck) tell(w io.Writer, answers []peers.Answer, s *store.Store) error {
	bad, lines := 0, make([]peerLine, len(answers))
	for i, a := range answers {
		lines[i] = lineOf(a, s.Schema())
		if lines[i].Result == failure {
			bad++
		}
	}
	twice(answers, lines)
	var err error
	if c.JSON {
		err = writeLines(w, lines)
	} else {
		err = writeTable(w, lines)
	}
	if err != nil || bad == 0 {
		return err
	}
	return next(fmt.Errorf("%s not well", count(bad, "peer")), "do what stands behind it above, then ask again")
}

// peerLine is what is shown of one peer.
type peerLine struct {
	Address  string  `json:"address"`
	Result   string  `json:"result"`
	Says     string  `json:"says"`
	Fix      string  `json:"fix,omitempty"`
	Node     id.Node `json:"node,omitempty"`
	Self     bool    `json:"self,omitempty"`
	Version  string  `json:"version,omitempty"`
	Schema   int64   `json:"schema,omitempty"`
	AheadMS  int64   `json:"clock_ahead_ms"`
	TookMS   int64   `json:"took_ms"`
	Database bool    `json:"database"`
	Sees     string  `json:"sees,omitempty"` // how many of its own peers answer it
}

func lineOf(a peers.Answer, schema int64) peerLine {
	v := judgePeer(a, schema)
	l := peerLine{
		Address: a.Address, Result: v.status, Says: v.says, Fix: v.fix, Node: a.Node, Self: a.Self, Version: a.Status.Version, Schema: a.Status.Schema,
		AheadMS: a.Ahead.Milliseconds(), TookMS: a.Took.Milliseconds(), Database: a.Status.Database,
	}
	if a.Err == nil && !a.Self {
		up, all := 0, 0
		for _, s := range a.Status.Peers {
			if !s.Self {
				all++
			}
			if s.Up && !s.Self {
				up++
			}
		}
		l.Sees = fmt.Sprintf("%d of %d", up, all)
	}
	return l
}

// peerVerdict is what is to be said of an answer.
type peerVerdict struct{ status, says, fix string }

func judgePeer(a peers.Answer, schema int64) peerVerdict {
	var stranger x509.UnknownAuthorityError
	var unfit x509.CertificateInvalidError
	switch {
	case a.Self:
		return peerVerdict{success, "this node itself; passed over", ""}
	case errors.As(a.Err, &stranger):
		return peerVerdict{failure, "answers with other keys: another installation, or another key folder", "find out which of the two has the wrong keys (gatehouse doctor on each), put the right key folder there, and restart it"}
	case errors.As(a.Err, &unfit) && unfit.Reason == x509.Expired:
		return peerVerdict{failure, "its certificate is not of this time: one of the two clocks is hours off", "timedatectl set-ntp true, on both"}
	case a.Err != nil:
		return peerVerdict{failure, "does not answer: " + a.Err.Error(), "see that gatehouse serve runs there with peers.listen at this port, and that no firewall is between"}
	case a.Ahead.Abs() > clockApart+a.Took:
		return peerVerdict{warning, "its clock differs by " + a.Ahead.Round(time.Millisecond).String(), "timedatectl set-ntp true, on both"}
	case a.Status.Schema != schema:
		return peerVerdict{warning, fmt.Sprintf("knows schema %d, this node %d", a.Status.Schema, schema), "finish the upgrade: both releases work together, but not for ever"}
	case !a.Status.Database:
		return peerVerdict{warning, "answers, but the database does not answer it", "see the log of gatehouse serve there"}
	case a.Lends != nil:
		return peerVerdict{warning, "would not lend its way to the database: " + a.Lends.Error(), "write the database's hosts in the same letters into database.dsn on both"}
	}
	return peerVerdict{success, "well", ""}
}

// twice finds two addresses with one name: a copied data folder, or one node
// listed twice.
func twice(answers []peers.Answer, lines []peerLine) {
	seen := map[id.Node]string{}
	for i, a := range answers {
		if first := seen[a.Node]; a.Node != "" && first != "" && lines[i].Result == success {
			lines[i].Result, lines[i].Says = warning, "has the same name as "+first
			lines[i].Fix = "if they are two machines, remove the file node from data_dir of one and restart it: two nodes must not share a name"
		}
		seen[a.Node] = a.Address
	}
}

func writeLines(w io.Writer, lines []peerLine) error {
	e := json.NewEncoder(w)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

func writeTable(w io.Writer, lines []peerLine) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PEER\tRESULT\tNODE\tVERSION\tSCHEMA\tCLOCK\tTOOK\tDATABASE\tSEES")
	for _, l := range lines {
		if l.Self || l.Node == "" || l.Version == "" {
			fmt.Fprintf(t, "%s\t%s\t%s\t\t\t\t\t\t\n", l.Address, l.Result, l.Node)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%+d ms\t%d ms\t%s\t%s\n", l.Address, l.Result, l.Node, l.Version, l.Schema, l.AheadMS, l.TookMS, either(l.Database, "answers", "away"), l.Sees)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range lines {
		if l.Result == success && !l.Self {
			continue
		}
		fmt.Fprintf(w, "\n[ %s ] %s: %s\n", l.Result, l.Address, l.Says)
		if l.Fix != "" {
			fmt.Fprintf(w, "            fix: %s\n", l.Fix)
		}
	}
	return nil
}
