//go:build drill

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// workers are what runs beside the requests and may be paused. It is a changing
// global like moved, and exists in no release.
var workers = struct {
	sync.Mutex
	all  map[string]bool // by name: does it run now?
	hold []string        // names that are paused; "all" is everybody
	turn chan struct{}   // closed and made anew when hold changes
}{all: map[string]bool{}, turn: make(chan struct{})}

// pausable runs a worker that ends with its context; while a drill holds its name
// it is ended, and begun again afterwards.
func pausable(ctx context.Context, name string, run func(context.Context)) {
	for ctx.Err() == nil {
		held, turn := isHeld(name)
		if held {
			select {
			case <-ctx.Done():
			case <-turn:
			}
			continue
		}
		untilTurn(ctx, name, turn, run)
	}
}

// untilTurn runs until the list of held names changes.
func untilTurn(ctx context.Context, name string, turn <-chan struct{}, run func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-turn:
			}
			held, next := isHeld(name)
			if held {
				cancel()
				return
			}
			turn = next
		}
	}()
	running(name, true)
	run(ctx)
	running(name, false)
}

func running(name string, yes bool) {
	workers.Lock()
	defer workers.Unlock()
	workers.all[name] = yes
}

func isHeld(name string) (bool, <-chan struct{}) {
	workers.Lock()
	defer workers.Unlock()
	return slices.Contains(workers.hold, "all") || slices.Contains(workers.hold, oneWord(name)), workers.turn
}

// oneWord is a name as the routes write it.
func oneWord(name string) string { return strings.ReplaceAll(name, " ", "-") }

// pauseRoutes lets a drill pause workers: POST /drill/pause with names in the
// body, "all" for everybody, nothing to let all go on. GET /drill/pause lists
// each and whether it runs.
func pauseRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /drill/pause", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 1024))
		if err != nil {
			http.Error(w, "write the names of workers into the body", http.StatusBadRequest)
			return
		}
		workers.Lock()
		defer workers.Unlock()
		workers.hold = strings.Fields(string(text))
		close(workers.turn)
		workers.turn = make(chan struct{})
	})
	mux.HandleFunc("GET /drill/pause", func(w http.ResponseWriter, _ *http.Request) {
		workers.Lock()
		defer workers.Unlock()
		for name, runs := range workers.all {
			fmt.Fprintf(w, "%s %s\n", oneWord(name), either(runs, "runs", "paused"))
		}
	})
}

// drillBuild says that clock and workers can be moved from outside.
const drillBuild = true
