package peers

import (
	"bytes"
	"context"
	"errors"
	"net/http"
)

// drain tells what is queued, oldest first, and says whether nothing is left.
// tries counts how often the oldest was not taken.
func (n *neighbour) drain(ctx context.Context, tries *int) (empty bool) {
	for ctx.Err() == nil {
		batch, first := n.queue.head()
		if len(batch) == 0 {
			return true
		}
		heard, lost, err := n.pass(ctx, batch)
		if errors.Is(err, errNotNow) {
			heard, lost = patience(heard, lost, tries)
		}
		n.queue.done(first+int64(heard), lost)
		if err != nil {
			return false
		}
		*tries = 0
	}
	return false
}

// pass sends a batch. heard of its entries need not be sent again; lost of those
// the peer has not taken and never will.
func (n *neighbour) pass(ctx context.Context, batch [][]byte) (heard, lost int, err error) {
	if n.state().Self {
		return len(batch), 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	var reply tellReply
	err = n.call(ctx, http.MethodPost, pathTell, append(bytes.Join(batch, []byte("\n")), '\n'), &reply)
	var no *refused
	switch {
	case err == nil:
		return len(batch), reply.Refused, nil
	case errors.As(err, &no) && no.status < http.StatusInternalServerError:
		return len(batch), len(batch), nil
	case errors.As(err, &no): // it cannot take the one after those it heard now
		return min(reply.Heard, len(batch)-1), min(reply.Refused, reply.Heard), errNotNow
	}
	return 0, 0, err // it cannot be reached, and its queue waits
}

// errNotNow is a peer that answers and cannot take an entry.
var errNotNow = errors.New("peers: the peer cannot take an entry now")

// patience gives up on an entry that a peer could not take so many times, so that
// it holds up the others no longer; the hand-over brings it.
func patience(heard, lost int, tries *int) (int, int) {
	if heard > 0 {
		*tries = 0
	}
	*tries++
	if *tries < tellTries {
		return heard, lost
	}
	*tries = 0
	return heard + 1, lost + 1
}
