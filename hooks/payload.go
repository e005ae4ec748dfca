package hooks

import (
	"encoding/json"
	"time"

	"gatehouse/events"
	"gatehouse/id"
)

// payload is the body of a call, in the form Standard Webhooks 1.0.0 recommends
// ("Payload structure"). Names are stable; fields may be added.
type payload struct {
	Type      string    `json:"type"`      // the kind of event
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      data      `json:"data"`
}

// data has ids and codes only. A field of events.Event that is not here does not
// leave the house this way; Personal is not here.
type data struct {
	Event        id.Event          `json:"event"`
	Version      int               `json:"version"` // of the kind: it grows when a code changes its meaning
	Organisation id.Organisation   `json:"organisation,omitempty"`
	Account      id.Account        `json:"account,omitempty"`
	Actor        string            `json:"actor"`
	Session      id.Session        `json:"session,omitempty"`
	Standby      bool              `json:"standby,omitempty"` // decided while the database was away
	Codes        map[string]string `json:"codes,omitempty"`
}

// Payload is the body of the call about an event.
func Payload(e events.Event) ([]byte, error) {
	account := e.Account
	if account == events.Nobody {
		account = "" // a name we do not know is nobody's account
	}
	return json.Marshal(payload{string(e.Kind), e.MadeAt.UTC(), data{
		e.ID, e.Version, e.Organisation, account, e.Actor, e.Session, e.Standby, e.Data,
	}})
}

// testKind is the type of a call that gatehouse hooks test makes.
const testKind = "hook.test"

func testPayload(now time.Time, event id.Event) ([]byte, error) {
	return json.Marshal(payload{testKind, now.UTC(), data{Event: event, Version: 1, Actor: events.Operator}})
}
