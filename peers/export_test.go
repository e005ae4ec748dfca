package peers

import (
	"crypto/tls"

	"gatehouse/store"
)

// What the tests reach beside the door.

// ClientConfig is the TLS configuration of the calling side.
func (p *Peers) ClientConfig() *tls.Config { return p.identity.client() }

// Limits of what is taken.
const (
	ReserveFor = reserveFor
	MaxReserve = maxReserve
	MaxQueued  = maxQueued
	DeadFor    = deadFor
	PathHello  = pathHello
	PathClaim  = pathClaim
	PathTell   = pathTell
)

// DecodeFacts and DecodeEntry are the parsers of what peers send.
var (
	DecodeFacts = decodeFacts
	DecodeEntry = decodeEntry
	Lines       = lines
)

// Forget drops warm connections, so that the next call shakes hands.
func (p *Peers) Forget() {
	for _, n := range p.others {
		n.http.CloseIdleConnections()
	}
}

var _ store.Peers = (*Peers)(nil)
