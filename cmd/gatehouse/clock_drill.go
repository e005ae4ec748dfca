//go:build drill

package main

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// moved is how far a drill has moved the clock. It is the one changing global,
// and it exists in no release.
var moved atomic.Int64

func wall() time.Time { return time.Now().Add(time.Duration(moved.Load())) }

// drillRoutes lets a drill move the clock: POST /drill/clock with a time such as
// 31m in the body, counted from the machine's clock.
func drillRoutes(mux *http.ServeMux) {
	pauseRoutes(mux)
	mux.HandleFunc("POST /drill/clock", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 64))
		by, bad := time.ParseDuration(string(text))
		if err != nil || bad != nil {
			http.Error(w, "write a time such as 31m or -2h into the body", http.StatusBadRequest)
			return
		}
		moved.Store(int64(by))
		fmt.Fprintln(w, wall().UTC().Format(time.RFC3339))
	})
}
