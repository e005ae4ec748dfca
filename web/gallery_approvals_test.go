package web

import (
	"testing"

	"gatehouse/fault"
	"gatehouse/flow"
)

// approvalPictures are the pages of Gatehouse Verify at the door and in the account.
func approvalPictures(t testing.TB, out, in Frame) []picture {
	t.Helper()
	ways := Ways{{"/signin/code", *Say("ways.totp")}, {"/signin/recovery", *Say("ways.recovery-code")}}
	asking := Approve{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Ways: ways, State: "open", Tens: "1", Ones: "7", Left: 43, Reach: flow.Reached}
	unreached, sent := asking, asking
	unreached.Reach, unreached.Email, unreached.Left = flow.Unreached, longEmail, 1
	sent.Reach = flow.OnTheWay
	again := asking
	again.Form = wrong(fault.NotAnswered, "")
	over := func(c fault.Code) Approve {
		return Approve{Form: wrong(c, ""), Email: "ana@harbour.example", Ways: ways, State: "over"}
	}
	lost := Approve{Form: wrong(fault.Unavailable, ""), Email: longEmail, Ways: ways, Lost: true, Fresh: true}
	lost.Problem.Sentence = Say("approve.away")
	refused := Approve{Form: wrong(fault.NotAsked, ""), Email: "ana@harbour.example", Ways: ways}
	pair := PairDevice{Form: Form{Attempt: "sealed", Action: pairPath}, Email: "ana@harbour.example", URI: "https://sign-in.harbour.example/verify/#pair=AbcdEfghIjklMnopQrstUvwxYz0123456789AbcdEfghIjklMnopQrstUvwxYz0123456789"}
	joined, wrongCode := pair, pair
	joined.Joined = longDevice
	wrongCode.Form = wrong(fault.WrongCode, FieldCode)
	wrongCode.Problem.Sentence = Say("pair.wrong")
	return []picture{
		{"approve", out, Approve{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Ways: ways}, ""},
		{"approve-asking", out, asking, ""}, {"approve-sent", out, sent, ""}, {"approve-unreached", out, unreached, ""}, {"approve-not-yet", out, again, ""},
		{"approve-declined", out, over(fault.Declined), ""}, {"approve-late", out, over(fault.NotInTime), ""}, {"approve-lost", out, lost, ""}, {"approve-not-asked", out, refused, ""},
		{"approve-approved", out, Approve{Email: "ana@harbour.example", Ways: ways, State: "approved"}, ""},
		{"pair", in, pair, ""}, {"pair-joined", in, joined, ""}, {"pair-wrong", in, wrongCode, FieldCode},
	}
}
