package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"gatehouse/accounts"
	"gatehouse/events"
	"gatehouse/fault"
	"gatehouse/manage"
)

// While the database is away a command cannot keep anybody out: it has no
// standby. The server on the same machine has, so it listens on a socket in its
// data folder, which nobody else may open, and takes denials from there. It gives
// nothing: who is let in again waits for the database.

// maxSocket is what the system allows a socket's path, with room to spare.
const maxSocket = 100

func controlPath(dataDir string) string { return filepath.Join(dataDir, "control.sock") }

// denialJSON is what goes over the socket.
type denialJSON struct {
	Email  string          `json:"email"`
	Reason string          `json:"reason,omitempty"`
	Status accounts.Status `json:"status,omitempty"`
	Fault  fault.Code      `json:"fault,omitempty"`
	// Unheard tells that its standby has no such account.
	Unheard bool `json:"unheard,omitempty"`
}

// control takes denials until ctx ends. That it cannot listen stops no server.
func (s *server) control(ctx context.Context) {
	path := controlPath(s.l.DataDir)
	if len(path) > maxSocket {
		s.slog.Warn("data_dir has too long a path for a socket; without the database, gatehouse account disable will not work", "path", path)
		return
	}
	_ = os.Remove(path) // of a process that was killed
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		s.slog.Warn("the socket for commands cannot be opened; without the database, gatehouse account disable will not work", "error", err)
		return
	}
	srv := &http.Server{Handler: s.controlHandler(), ReadTimeout: 5 * time.Second, WriteTimeout: 15 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	_ = srv.Serve(l) // it ends when ctx does
}

func (s *server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	for verb, deny := range map[string]func(context.Context, string, string, string) (accounts.Account, error){
		"disable": s.manage.Disable, "lock": s.manage.Lock,
	} {
		mux.HandleFunc("POST /account/"+verb, func(w http.ResponseWriter, r *http.Request) {
			var d denialJSON
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&d); err != nil {
				http.Error(w, "not what a command sends", http.StatusBadRequest)
				return
			}
			a, err := deny(r.Context(), d.Email, d.Reason, events.Operator)
			d.Status = a.Status
			switch {
			case errors.Is(err, manage.ErrNoAccount):
				w.WriteHeader(http.StatusNotFound)
			case err != nil:
				s.slog.Warn("a denial asked for on this machine was not carried out", "error", err)
				d.Fault, d.Unheard = fault.Of(err), errors.Is(err, manage.ErrUnheard)
				w.WriteHeader(fault.Lookup(d.Fault).Status)
			}
			_ = json.NewEncoder(w).Encode(d)
		})
	}
	return mux
}

// throughServer has the server of this machine carry out a denial.
func (c *change) throughServer(ctx context.Context, p *program, verb string) error {
	l, err := p.mustLoad(nil)
	if err != nil {
		return err
	}
	body, err := json.Marshal(denialJSON{Email: c.Email, Reason: c.Reason})
	if err != nil {
		return err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", controlPath(l.DataDir))
	}
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DialContext: dial}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://server/account/"+verb, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return next(errors.New("the database does not answer, and no server of this data_dir runs here that could do it on its standby"),
			"run this on a machine where gatehouse serve runs, as the user it runs as")
	}
	defer resp.Body.Close()
	return c.told(p, resp)
}

func (c *change) told(p *program, resp *http.Response) error {
	var d denialJSON
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil && resp.StatusCode == http.StatusOK {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode == http.StatusNotFound:
		return noAccount(c.Email)
	case d.Unheard:
		return next(fmt.Errorf("the database does not answer, and this node's standby has no account %s", c.Email),
			"check the address; somebody who was added just before the database went away can be kept out once it is back")
	default:
		return next(fmt.Errorf("the database does not answer, and the server of this machine could not do it on its standby (%s)", d.Fault),
			"see gatehouse status; on another node it may work")
	}
	fmt.Fprintf(p.out, "%s is %s here. The database does not answer, so this node keeps it and hands it over when it is back.\n", plain(d.Email), d.Status)
	fmt.Fprintln(p.out, "Nodes that this one reaches know it too (gatehouse peers check). On nodes it cannot reach, say it again there.")
	return nil
}

// orOnStandby is what a denial does when the database does not answer.
func (c *change) orOnStandby(ctx context.Context, p *program, verb string, err error) error {
	if fault.Of(err) != fault.Unavailable {
		return err
	}
	return c.throughServer(ctx, p, verb)
}
