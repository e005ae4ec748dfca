package main

import (
	"context"
	"time"

	"gatehouse/authenticators"
	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/seal"
	"gatehouse/store"
)

// house is the inside that the server, the demo and the account commands share.
type house struct {
	l      *Loaded
	keys   *seal.Keys
	node   id.Node
	clock  *clock
	store  *store.Store
	log    *events.Log
	hasher *authenticators.Hasher
}

func (h *house) now() time.Time { return h.clock.Now() }

var _ = context.Background
