package web

import (
	"time"

	"gatehouse/access"
	"gatehouse/fault"
	"gatehouse/manage"
	"gatehouse/proof"
)

// acceptPictures are the pages about accepted authenticators.
func acceptPictures(in Frame) []picture {
	modern, _ := access.Modern.Terms()
	ato, _ := access.ATO.Terms()
	strict := ato
	strict.Resistant = true
	odd := access.Requirement{Level: proof.AAL3, Methods: []proof.Method{proof.Passkey, proof.TOTP, proof.SMS}}
	texts := modern
	texts.Methods = access.Seconds()
	scope := "organisation/0197"
	in.Person = &Person{Name: "Ana Moreira", Email: "ana@harbour.example", Organisation: "Harbour Books", Console: true}
	harbour := *Say("accept.for.organisation", "organisation", "Harbour Books")
	everybody := AcceptRules{Who: *Say("accept.for.installation"), Terms: access.Default()}
	own := AcceptRules{Who: harbour, Scope: scope, Own: true, Terms: ato, Preset: access.ATO, Stricter: true, Back: true, Version: 3, Change: changeAddress(access.Scope{Organisation: "0197"}, ""),
		Roles: []AcceptRole{{access.Supporter, "/console/policy/authenticators/change?scope=x"}, {access.Developer, "/console/policy/authenticators/change?scope=y"}}}
	role := AcceptRules{Who: *Say("accept.for.role.owner", "organisation", longName), Scope: scope + "/owner", Own: true, Terms: odd, Change: own.Change}
	under := own
	under.Preset, under.Stricter, under.Terms = access.Modern, false, modern
	under.Way = &AcceptWay{Terms: strict, Due: galleryNow.AddDate(0, 1, 0), Parts: []AcceptPart{
		{Name: cohortText("owners"), Due: galleryNow.Add(-time.Hour), Ready: 2, People: 2, Over: true}, {Name: cohortText("the first " + longName), Due: galleryNow.AddDate(0, 0, 14), Ready: 3, People: 12}, {Due: galleryNow.AddDate(0, 1, 0), Ready: 17, People: 40}}}
	none := AcceptRules{Who: harbour, Scope: scope, Terms: access.Default(), Change: own.Change}
	choice := AcceptChoice{Scope: scope, Version: 3, Terms: strict, Hours: "12", Due: "2026-12-24"}
	later := choice
	later.Later, later.First, later.Terms = true, "tenth", texts
	bad := func(field, key string, pairs ...any) Form {
		f := wrong(fault.PolicyRefused, field)
		f.Problem.Sentence = Say(key, pairs...)
		return f
	}
	hours, conflict, unsure := later, choice, choice
	hours.Hours = "a day"
	names := []manage.Affected{
		{Email: "ben@harbour.example", Name: "Ben Fischer", Standing: manage.Out, Holds: []proof.Method{proof.TOTP, proof.HOTP}},
		{Email: longEmail, Name: longName, Standing: manage.Out, Holds: []proof.Method{proof.SMS, proof.Voice}},
		{Email: "dana@harbour.example", Standing: manage.Another},
	}
	impact := manage.Impact{Tally: manage.Tally{People: 54, Fine: 40, Another: 3, Out: 9, Waiting: 2}, Names: names, Parts: []manage.Part{
		{Role: access.Owner, Tally: manage.Tally{People: 2, Fine: 2}}, {Role: access.Bookkeeper, Tally: manage.Tally{People: 52, Fine: 38, Another: 3, Out: 9, Waiting: 2}}}}
	look := AcceptLook{AcceptChoice: choice, Who: harbour, Rows: compared(modern, strict), Impact: impact, Names: names, More: 7, Back: own.Change}
	lookLater, empty, asked := look, look, look
	lookLater.AcceptChoice, lookLater.By, lookLater.Rows = later, galleryNow.AddDate(0, 1, 0), compared(ato, texts)
	empty.Impact, empty.Names, empty.More = manage.Impact{}, nil, 0
	asked.AcceptChoice, asked.Form = unsure, bad(FieldConfirmed, "accept.sure.needed")
	presets := acceptPresets("organisation/0197")
	return []picture{
		{"accept", in, Accepted{Rules: []AcceptRules{own, role, everybody}, Presets: acceptPresets("")}, ""},
		{"accept-none", in, Accepted{Rules: []AcceptRules{none, everybody}, Presets: acceptPresets("")}, ""},
		{"accept-under-way", in, Accepted{Rules: []AcceptRules{under, everybody}, Presets: acceptPresets("")}, ""},
		{"accept-change", in, AcceptChange{AcceptChoice: choice, Who: harbour, Presets: presets}, ""},
		{"accept-change-later", in, AcceptChange{AcceptChoice: later, Who: harbour, Presets: presets, Own: true}, ""},
		{"accept-change-hours", in, AcceptChange{Form: bad("hours", "accept.bad.number"), AcceptChoice: hours, Who: harbour, Presets: presets}, "hours"},
		{"accept-change-due", in, AcceptChange{Form: bad("due", "accept.bad.date"), AcceptChoice: later, Who: harbour, Presets: presets}, "due"},
		{"accept-change-conflict", in, AcceptChange{Form: bad("", "accept.bad.conflict", "with", "Quay"), AcceptChoice: conflict, Who: harbour, Presets: presets}, ""},
		{"accept-look", in, look, ""},
		{"accept-look-later", in, lookLater, ""},
		{"accept-look-empty", in, empty, ""},
		{"accept-look-unsure", in, asked, FieldConfirmed},
	}
}
