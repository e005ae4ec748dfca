package web

import (
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/sessions"
)

// apiError is every answer that is not a success. openapi.json describes it as
// Error. Next and Attempt are there when the step can be tried again.
type apiError struct {
	Error   apiFault    `json:"error"`
	Hint    string      `json:"hint,omitempty"`
	Reasons []apiReason `json:"reasons,omitempty"`
	Next    flow.Step   `json:"next,omitempty"`
	Attempt string      `json:"attempt,omitempty"`
	Device  string      `json:"device,omitempty"`
	Wait    *apiWait    `json:"wait,omitempty"`
}

// apiWait is for who was turned away before anything was checked. Place goes back
// with the next request, beside the same device token, and keeps their turn.
type apiWait struct {
	Place   string `json:"place,omitempty"`
	Seconds int    `json:"seconds,omitempty"` // until it is their turn, roughly
	About   string `json:"about"`             // the same in words
}

// apiFault is what went wrong, for a program (code) and a person (the rest).
type apiFault struct {
	Code      fault.Code `json:"code"`
	Sentence  string     `json:"sentence"`
	RequestID string     `json:"request_id"`
}

// apiReason says why a new password is not accepted.
type apiReason struct {
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
}

// apiStep is the answer to a step that was accepted; openapi.json: Step.
type apiStep struct {
	Next          flow.Step    `json:"next"`
	Attempt       string       `json:"attempt,omitempty"`
	Device        string       `json:"device,omitempty"`
	Purpose       flow.Purpose `json:"purpose,omitempty"`
	Email         string       `json:"email,omitempty"`
	Other         []flow.Step  `json:"other,omitempty"`
	Ways          []apiWay     `json:"ways,omitempty"`
	Push          *apiPush     `json:"push,omitempty"`
	Offers        []string     `json:"offers,omitempty"`
	Enrol         *apiApp      `json:"enrol,omitempty"`
	RecoveryCodes []string     `json:"recovery_codes,omitempty"`
	Why           string       `json:"why,omitempty"`
	Session       *apiTicket   `json:"session,omitempty"`
}

// apiWay is one way to show a second authenticator.
type apiWay struct {
	Step   flow.Step        `json:"step"`
	Method proof.Method     `json:"method"`
	ID     id.Authenticator `json:"id,omitempty"`
	Label  string           `json:"label,omitempty"`
	Token  bool             `json:"token,omitempty"`
}

// apiApp is what an authenticator app is set up with.
type apiApp struct {
	Secret string `json:"secret"` // base32
	URI    string `json:"uri"`    // otpauth://
}

// apiTicket is a session that has just begun. Times are seconds since 1970 UTC
// (NumericDate, RFC 7519 §2).
type apiTicket struct {
	Ticket        string   `json:"ticket"`
	ID            string   `json:"id"`
	Account       string   `json:"account"`
	AMR           []string `json:"amr"`
	AuthTime      int64    `json:"auth_time"`
	IdleUntil     int64    `json:"idle_until"`
	AbsoluteUntil int64    `json:"absolute_until"`
}

// apiStrong is how a password that is being typed does.
type apiStrong struct {
	Score      int         `json:"score"` // 0 to 4
	Label      string      `json:"label"` // the score in a word or two
	Acceptable bool        `json:"acceptable"`
	Reasons    []apiReason `json:"reasons"`
}

func stepOf(out flow.Outcome, device string) apiStep {
	step := apiStep{Next: out.Next, Attempt: out.Attempt, Device: device, Purpose: out.View.Purpose,
		Email: out.View.Email, Other: out.View.Other, Why: out.View.Why}
	if p := out.View.Push; p != nil {
		step.Push = &apiPush{State: p.State, Digits: p.Digits, Left: p.Left(), Reached: p.Reached}
	}
	for _, m := range out.View.Offers {
		step.Offers = append(step.Offers, string(m))
	}
	for _, w := range out.View.Ways {
		step.Ways = append(step.Ways, apiWay(w))
	}
	if out.View.Secret != "" {
		step.Enrol = &apiApp{out.View.Secret.Reveal(), out.View.URI.Reveal()}
	}
	for _, c := range out.View.Codes {
		step.RecoveryCodes = append(step.RecoveryCodes, c.Reveal())
	}
	if out.Next == flow.Done {
		step.Session = ticketOf(out.Ticket, out.Session)
	}
	return step
}

func ticketOf(text string, t sessions.Ticket) *apiTicket {
	return &apiTicket{Ticket: text, ID: string(t.Session), Account: string(t.Account), AMR: proof.AMR(t.Proofs),
		AuthTime: t.AuthTime().Unix(), IdleUntil: t.IdleUntil.Unix(), AbsoluteUntil: t.AbsoluteUntil.Unix()}
}
