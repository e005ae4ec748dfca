package web

import (
	"encoding/json"
	"net/http"
	"time"
)

// Status is all that a node knows of itself: /statusz of the management listener,
// and what gatehouse status shows. Durations are seconds, times RFC 3339 in UTC
// and left out when there is none. Fields are added, never changed.
type Status struct {
	Node    string    `json:"node"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	Status  string    `json:"status"`         // well, degraded, down
	Tier    string    `json:"tier"`           // of the promise ladder: "" all works, T3, T2, T1, T0
	Since   time.Time `json:"since,omitzero"` // since when it is not ""
	Works   Works     `json:"works"`          // for people, now
	Ready   bool      `json:"ready"`          // what /readyz says
	Why     string    `json:"why,omitempty"`  // not ready: which check
	Issues  []Issue   `json:"degraded"`       // what works less well than it should, gravest first
	Grace   time.Time `json:"grace,omitzero"` // since when idle time-outs are stretched
	Heard   time.Time `json:"heard,omitzero"` // when it last heard who was thrown out
	Canary  Canary    `json:"canary"`
	Standby Standby   `json:"standby"`
	Journal Journal   `json:"journal"`
	Outbox  Outbox    `json:"outbox"`
	Hash    HashQueue `json:"hash_queue"`
	Follow  []Lag     `json:"followers"`
	Peers   int       `json:"peers"` // other nodes that answer
}

// Works says what people can do.
type Works struct {
	SignIn   bool `json:"sign_in"`
	Sessions bool `json:"sessions"` // who is signed in goes on
	Changes  bool `json:"changes"`  // of passwords, authenticators, people
	Mail     bool `json:"mail"`
}

// Issue is one thing that works less well than it should.
type Issue struct {
	Feature string    `json:"feature"`
	Tier    string    `json:"tier"`
	Since   time.Time `json:"since"`
	Detail  string    `json:"detail,omitempty"` // codes and numbers
}

// Canary is how the node's own sign-in went.
type Canary struct {
	Works   bool      `json:"works"`
	Cause   string    `json:"cause,omitempty"` // why not: busy, away, refused, broken; starting
	At      time.Time `json:"at,omitzero"`
	GoodAt  time.Time `json:"good_at,omitzero"`
	Took    float64   `json:"took"`
	Standby bool      `json:"standby"` // the standby answered it
}

// Standby is the node's own copy.
type Standby struct {
	Present bool    `json:"present"`
	Usable  bool    `json:"usable"`
	Why     string  `json:"why,omitempty"` // not usable: loading, too-old, broken
	Age     float64 `json:"age"`           // since it last held all that the primary had
	Horizon float64 `json:"horizon"`       // how long the oldest open transaction holds it back
	Resyncs int64   `json:"resyncs"`
	Refused int     `json:"refused"` // files that were set aside at the start
}

// Journal is what the standby did and the primary does not have yet.
type Journal struct {
	Entries   int64   `json:"entries"`
	Bytes     int64   `json:"bytes"`
	Oldest    float64 `json:"oldest"`
	Parked    int64   `json:"parked"`    // not taken by the primary: they wait for a person
	Handed    int64   `json:"handed"`    // since the start of this process
	Conflicts int64   `json:"conflicts"` // found meanwhile
	Shed      int64   `json:"shed"`
}

// Outbox is what waits to be sent.
type Outbox struct {
	Oldest float64 `json:"oldest"`
}

// HashQueue is who waits for a core.
type HashQueue struct {
	Waiting int  `json:"waiting"`
	Busy    bool `json:"busy"` // newcomers are asked to wait
}

// Lag is how far a follower of the log is behind.
type Lag struct {
	Name   string  `json:"name"`
	Behind float64 `json:"behind"`
	Events int64   `json:"events"`
	Parked int64   `json:"parked"`
	Holder string  `json:"holder,omitempty"`
}

func (m *Management) statusz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(m.Status()) // nobody to tell when the asker has gone
}
