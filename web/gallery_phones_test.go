package web

import (
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/proof"
)

// phonePictures are the pages of codes by text message and call, in every state.
func phonePictures(out, in Frame) []picture {
	one := PhoneNumber{ID: "0197a", Masked: "+351 ••• ••42", SMS: true, Voice: true}
	home := PhoneNumber{ID: "0197b", Masked: "+44 ••• ••18", Voice: true}
	texts := PhoneNumber{ID: "0197c", Masked: "+1 ••• ••00", SMS: true}
	ways := Ways{{"/signin/code", *Say("ways.totp")}, {"/signin/recovery", *Say("ways.recovery-code")}}
	how := func(by proof.Method, state authenticators.TextState, known bool, age time.Duration) Sent {
		return sent(by, state, known, age, "/signin/phone/state")
	}
	code := PhoneCode{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Number: one, Ways: ways, Others: true}
	at := func(c PhoneCode, s Sent, f Form) PhoneCode { c.Sent, c.Form = s, f; return c }
	wrongOne := wrong(fault.WrongCode, FieldCode)
	wrongOne.Problem.Sentence, wrongOne.Problem.Hint = Say("phone.wrong"), Say("phones.hint.older")
	limited := wrong(fault.TooManyTries, "")
	limited.Problem.RetryAfter, limited.Problem.Hint = 9*time.Minute, Say("phones.hint.too-many")
	unable := wrong(fault.Unavailable, "")
	unable.Problem.Sentence = Say("phone.unable")
	row := PhoneRow{PhoneNumber: one, Name: "Work phone", MadeAt: galleryNow.AddDate(0, -3, 0), UsedAt: galleryNow.Add(-26 * time.Hour)}
	held := PhoneRow{PhoneNumber: home, Name: "+44 ••• ••18", MadeAt: galleryNow, From: galleryNow.Add(24 * time.Hour)}
	ending := row
	ending.Ends, ending.UsedAt, ending.PhoneNumber = galleryNow.Add(24*time.Hour), time.Time{}, texts
	bad := wrong(fault.BadRequest, FieldNumber)
	bad.Problem.Sentence = Say(authenticators.NumberCountry)
	add := PhoneAdd{Example: "912 345 678", Home: true, Prefixes: "+351, +34"}
	change := PhoneAdd{Form: bad, Number: "+33 6 12 34 56 78", Replaces: "0197a", Old: "+351 ••• ••42", Example: "+351 912 345 678", Prefixes: "+351"}
	verify := PhoneVerify{Form: Form{Attempt: "sealed"}, Number: one, Sent: how(proof.SMS, authenticators.TextOnWay, true, 0)}
	verifyWrong := PhoneVerify{Form: wrongOne, Number: one, Name: longName, Sent: how(proof.Voice, authenticators.TextHanded, true, time.Minute)}
	return []picture{
		{"phone", out, Phone{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Numbers: []PhoneNumber{one}, Ways: ways}, ""},
		{"phone-several", out, Phone{Email: longEmail, Numbers: []PhoneNumber{one, home, texts}, Ways: ways, Fresh: true}, ""},
		{"phone-limited", out, Phone{Form: limited, Email: longEmail, Numbers: []PhoneNumber{one}, Ways: ways}, ""},
		{"phone-unable", out, Phone{Form: unable, Email: "ana@harbour.example", Ways: ways}, ""},
		{"phone-code", out, at(code, how(proof.SMS, authenticators.TextOnWay, true, 0), code.Form), ""},
		{"phone-code-handed", out, at(code, how(proof.SMS, authenticators.TextHanded, true, time.Minute), code.Form), ""},
		{"phone-code-slow", out, at(code, how(proof.SMS, authenticators.TextOnWay, true, 3*time.Second), code.Form), ""},
		{"phone-code-failed", out, at(code, how(proof.Voice, authenticators.TextFailed, true, 3*time.Second), code.Form), ""},
		{"phone-code-over", out, at(code, how(proof.SMS, authenticators.TextOver, true, 6*time.Minute), code.Form), ""},
		{"phone-code-unknown", out, at(code, how(proof.Voice, "", false, 3*time.Second), code.Form), ""},
		{"phone-call", out, at(code, how(proof.Voice, authenticators.TextHanded, true, 3*time.Second), code.Form), ""},
		{"phone-code-wrong", out, at(code, how(proof.SMS, authenticators.TextHanded, true, time.Minute), wrongOne), FieldCode},
		{"phones-none", in, PhoneList{Accepted: true}, ""},
		{"phones", in, PhoneList{Items: []PhoneRow{row}, Accepted: true}, ""},
		{"phones-changing", in, PhoneList{Items: []PhoneRow{ending, held}, Accepted: true}, ""},
		{"phones-off", in, PhoneList{Items: []PhoneRow{row}}, ""},
		{"phones-last", in, PhoneList{Form: wrong(fault.LastAuthenticator, ""), Items: []PhoneRow{row}, Accepted: true}, ""},
		{"phone-add", in, add, ""},
		{"phone-change-wrong", in, change, FieldNumber},
		{"phone-verify", in, verify, ""},
		{"phone-verify-wrong", in, verifyWrong, FieldCode},
	}
}
