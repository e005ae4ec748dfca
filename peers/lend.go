package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/id"
)

const (
	reachWithin = time.Second      // for a lender to reach the database
	lendQuiet   = 10 * time.Minute // a lent way nobody uses ends; the pool gives up its own after five
	lendMost    = time.Hour        // … and any at this age, longer than a pool keeps a connection
)

// lend joins a peer with the database: CONNECT (RFC 9110 §9.3.6), and only to the
// places of this node's own configuration. What goes through is PostgreSQL's, its
// TLS included; it is not looked at.
func (s *server) lend(w http.ResponseWriter, r *http.Request, to id.Node) {
	address := strings.ToLower(r.Host)
	if !s.allow[address] {
		s.o.Log.Warn("a peer asked for the way to a place that is not this node's database", "peer", string(to), "address", r.Host)
		http.Error(w, "", http.StatusForbidden)
		return
	}
	if s.ways.isDead(address) {
		http.Error(w, "", http.StatusBadGateway) // we are cut off too
		return
	}
	select {
	case s.lent <- struct{}{}:
		defer func() { <-s.lent }()
	default:
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), reachWithin)
	defer cancel()
	database, err := s.o.Straight(ctx, "tcp", address) // straight: a way that was lent to us is not lent on
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	defer database.Close()
	if err := s.hijack(w, database); err != nil {
		s.o.Log.Warn("a way could not be lent", "peer", string(to), "error", err)
	}
}

// hijack takes the connection from net/http and carries bytes until one side ends.
func (s *server) hijack(w http.ResponseWriter, database net.Conn) error {
	h, ok := w.(http.Hijacker)
	if !ok {
		return errors.New("peers: this connection cannot be taken over")
	}
	peer, buffered, err := h.Hijack()
	if err != nil {
		return err
	}
	defer peer.Close()
	if err := peer.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if _, err := io.WriteString(peer, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return err
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered()) // what came before our answer, if a peer does not wait for it
	join(peer, io.MultiReader(bytes.NewReader(early), peer), database)
	return nil
}

// join carries bytes both ways until one side ends, both are quiet for too long,
// or the time is over.
func join(peer net.Conn, fromPeer io.Reader, database net.Conn) {
	end := func() { peer.Close(); database.Close() }
	quiet, most := time.AfterFunc(lendQuiet, end), time.AfterFunc(lendMost, end)
	defer quiet.Stop()
	defer most.Stop()
	var both sync.WaitGroup
	both.Go(func() { carry(database, fromPeer, quiet); end() })
	both.Go(func() { carry(peer, database, quiet); end() })
	both.Wait()
}

func carry(to io.Writer, from io.Reader, quiet *time.Timer) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			quiet.Reset(lendQuiet)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
