package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"gatehouse/web"
)

// StatusCommand shows how running servers stand: what works for people now, and
// what is wrong.
type StatusCommand struct {
	URL   []string      `placeholder:"URL" sep:"," help:"The management address of a node, such as http://127.0.0.1:9090; several times for several nodes. Without it, management.listen of the configuration."`
	JSON  bool          `help:"Write one JSON object a line and node."`
	Watch bool          `help:"Show it again and again, until it is interrupted."`
	Every time.Duration `default:"2s" help:"How often, with --watch."`
}

// The codes gatehouse status ends with, besides those of every command.
const (
	exitDegraded = 4 // people get in on every node, but something works less well than it should
	exitDown     = 5 // on some node people do not get in, or it does not answer
)

// standing is what one node said.
type standing struct {
	URL   string `json:"url"`
	Error string `json:"error,omitempty"`
	*web.Status
}

// Run asks every node once, or again and again.
func (c *StatusCommand) Run(ctx context.Context, p *program) error {
	urls := c.URL
	if len(urls) == 0 {
		urls = []string{reachable(p.load(nil).Management)}
	}
	for {
		all := askAll(ctx, urls)
		if err := c.show(p.out, all, c.Watch && isTerminal(p.out)); err != nil {
			return err
		}
		if !c.Watch {
			return verdict(all)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(c.Every, 100*time.Millisecond)):
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

func askAll(ctx context.Context, urls []string) []standing {
	all := make([]standing, len(urls))
	var wait sync.WaitGroup
	for i, url := range urls {
		wait.Go(func() { all[i] = askNode(ctx, url) })
	}
	wait.Wait()
	return all
}

func askNode(ctx context.Context, url string) standing {
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	st := standing{URL: strings.TrimRight(url, "/")}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	s, err := fetchStatus(ctx, st.URL)
	if err != nil {
		st.Error = err.Error()
		return st
	}
	st.Status = s
	return st
}

func fetchStatus(ctx context.Context, base string) (*web.Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/statusz", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("it answers " + resp.Status + " and not as a management address of Gatehouse")
	}
	var s web.Status
	return &s, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&s)
}

// show writes what the nodes said.
func (c *StatusCommand) show(w io.Writer, all []standing, clear bool) error {
	if c.JSON {
		e := json.NewEncoder(w)
		for _, s := range all {
			if err := e.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	if clear {
		b.WriteString("\033[H\033[2J")
	}
	for i, s := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		writeStanding(&b, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// statusError is a verdict with its own exit code.
type statusError struct {
	error
	code int
}

func (s *statusError) ExitCode() int { return s.code }

// verdict is nil when all is well on every node.
func verdict(all []standing) error {
	silent, down, degraded := 0, 0, 0
	for _, s := range all {
		switch {
		case s.Status == nil:
			silent++
		case !s.Status.Ready || !s.Status.Works.SignIn:
			down++
		case s.Status.Status != "well":
			degraded++
		}
	}
	switch {
	case down > 0 && silent > 0:
		return &statusError{fmt.Errorf("people do not get in on %s, and of %s nothing is known", count(down, "node"), strconv.Itoa(silent)+" more"), exitDown}
	case down > 0:
		return &statusError{fmt.Errorf("people do not get in on %s", count(down, "node")), exitDown}
	case silent > 0:
		return &statusError{fmt.Errorf("nothing answers at %s, so nobody can say whether people get in there", count(silent, "address")), exitDown}
	case degraded > 0:
		return &statusError{errors.New("people get in, and something works less well than it should"), exitDegraded}
	}
	return nil
}

// Help says what the exit codes mean.
func (*StatusCommand) Help() string {
	return "Exits with 0 when all is well; 4 when people get in on every node and something works less well than it should; " +
		"5 when people do not get in on some node, or it does not answer."
}
