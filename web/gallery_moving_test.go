package web

import (
	"time"

	"gatehouse/fault"
)

// Pages of moving house, of help, and of browsers that are remembered.
func movingPictures(out, in Frame) []picture {
	phones := []Thing{
		{ID: "0197a", Name: "Ana’s iPhone", Kind: *Say("kind.app"), UsedAt: galleryNow.Add(-26 * time.Hour)},
		{ID: "0197b", Name: longName, Kind: *Say("kind.passkey")},
		{ID: "0197c", Name: "Ana’s iPhone", Kind: *Say("kind.push"), UsedAt: galleryNow}}
	one := []Thing{{ID: "0197a", Name: "Ana’s iPhone", Kind: *Say("kind.hotp"), Ticked: true}, {ID: "0197d", Name: "…417", Kind: *Say("kind.phone")}}
	leave := func(why string, f Form) Move { return Move{Form: f, Step: "leave", Why: why, Things: phones} }
	arrive := Move{Step: "arrive", Why: "phone", Email: "ana@harbour.example", Key: galleryKey, URI: galleryURI}
	arriveWrong, lost := arrive, arrive
	arriveWrong.Form, arriveWrong.Name, lost.Why = wrong(fault.WrongCode, FieldCode), longName, "lost"
	finish := Move{Step: "finish", Why: "switch", Old: []string{"Ana’s iPhone"}, New: []string{"My new phone"}, AskCode: true}
	finishWrong := finish
	finishWrong.Form, finishWrong.Old = wrong(fault.WrongCode, FieldCode), []string{longName, "Ana’s iPhone"}
	finishWrong.Problem.Sentence, finishWrong.Problem.Hint = Say("moving.wrong"), Say("moving.code-old")
	noCode := finish
	noCode.AskCode = false
	var offers Ways
	for _, a := range adds {
		offers = append(offers, Way{a.Href, *Say("second." + a.Kind)})
	}
	reminded := Profile{Email: "ana@harbour.example", Name: "Ana Moreira", Zone: "Pacific/Auckland", CodesLeft: 7, Sessions: 3, Reminders: []Reminder{
		{*Say("remind.moving"), "/account/moving", *Say("remind.moving-link")},
		{*Say("remind.second", "name", longName), "/account/second", *Say("remind.second-link")},
		{*Say("remind.recovered", "n", 9), "/account/moving?why=lost", *Say("remind.recovered-link")}}}
	browsers := []Browser{{ID: "0197a", Name: "Firefox on Windows", MadeAt: galleryNow.AddDate(0, 0, -3), UsedAt: galleryNow, Until: galleryNow.AddDate(0, 0, 27)},
		{ID: "0197b", Name: longDevice, MadeAt: galleryNow, Until: galleryNow.AddDate(0, 0, 30)}}
	remember := Form{Attempt: "0197", Remember: 30 * 24 * time.Hour}
	ways := Ways{{"/signin/passkey", *Say("ways.passkey")}, {"/signin/push", *Say("ways.push")}, {"/signin/phone", *Say("ways.phone")}, {"/signin/recovery", *Say("ways.recovery-code")}}
	causes := Form{Attempt: "0197", Problem: &Problem{Code: fault.WrongCode, Field: FieldCode, Hint: Say("code.causes"), Help: "wrong-code"}}
	nothing := leave("switch", Form{})
	nothing.Things = nil
	p := []picture{
		{"moving-choose", in, Move{Step: "choose"}, ""},
		{"moving-leave-phone", in, leave("phone", Form{}), ""},
		{"moving-leave-switch", in, Move{Step: "leave", Why: "switch", Things: one}, ""},
		{"moving-leave-lost", in, leave("lost", Form{Problem: &Problem{Code: fault.BadRequest, Field: FieldItem, Sentence: Say("moving.choose-one")}}), FieldItem},
		{"moving-leave-nothing", in, nothing, ""},
		{"moving-arrive", in, arrive, ""},
		{"moving-arrive-wrong", in, arriveWrong, FieldCode},
		{"moving-arrive-lost", in, lost, ""},
		{"moving-finish", in, finish, ""},
		{"moving-finish-wrong", in, finishWrong, FieldCode},
		{"moving-finish-no-code", in, noCode, ""},
		{"moved", in, Moved{Things: phones, CodesLeft: 7}, ""},
		{"moved-poor", in, Moved{Things: one[:1], CodesLeft: 1}, ""},
		{"second-first", out, Second{Form: Form{Return: "/account"}, First: true, Offers: offers}, ""},
		{"second", out, Second{Offers: offers[:1]}, ""},
		{"second-due", out, Second{By: "1 March 2027", Offers: offers[:2]}, ""},
		{"profile-reminded", in, reminded, ""},
		{"sessions-remembered", in, Sessions{Items: []Session{{ID: "0197a", Device: "Firefox on Windows", SignedInAt: galleryNow, SeenAt: galleryNow, This: true}}, Browsers: browsers}, ""},
		{"code-remember", out, Code{Form: remember, Email: "ana@harbour.example", Ways: ways}, ""},
		{"code-remember-a-day", out, Code{Form: Form{Remember: time.Hour}, Email: longEmail, Ways: ways}, ""},
		{"code-causes", out, Code{Form: causes, Email: "ana@harbour.example", Ways: ways}, FieldCode},
		{"help", out, HelpList{All: slugs()}, ""},
		{"help-found", out, HelpList{Query: "phone", Found: slugs()[:3], All: slugs()}, ""},
		{"help-one", out, HelpList{Query: "phone", Found: slugs()[:1], All: slugs()}, ""},
		{"help-none", out, HelpList{Query: "<b>", All: slugs()}, ""},
	}
	for _, a := range articles {
		p = append(p, picture{"help-" + a.slug, out, a.page(func(name string) bool { _, err := assetFiles.Open("assets/" + name); return err == nil }), ""})
	}
	return p
}

func slugs() (all []string) {
	for _, a := range articles {
		all = append(all, a.slug)
	}
	return all
}
