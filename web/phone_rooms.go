package web

import (
	"log/slog"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
)

// PhoneList is the numbers of a person. POST /account/authenticators/phone with
// do=remove and id.
type PhoneList struct {
	Form
	Items    []PhoneRow
	Accepted bool // what the policy says of text messages and calls
}

// PhoneRow is one of them.
type PhoneRow struct {
	PhoneNumber
	Name   string
	MadeAt time.Time
	UsedAt time.Time // zero: never
	From   time.Time // on hold until then; zero: it counts
	Ends   time.Time // another takes its place then; zero: none does
}

// PhoneAdd asks for a number. POST /account/authenticators/phone/add with number,
// by and replaces.
type PhoneAdd struct {
	Form
	Number   string // as typed
	Replaces string // id of the number that ends, "" for none
	Old      string // that number, masked
	Example  string
	Home     bool   // a number may be typed without its country
	Prefixes string // "+351, +34"
}

// PhoneVerify takes the code that was sent to a new number. POST
// /account/authenticators/phone/verify with code and name; or do=send for another.
type PhoneVerify struct {
	Form
	Number PhoneNumber
	Name   string
	Sent   Sent
}

const phonesPath = "/account/authenticators/phone"

func (p PhoneList) about() about { return phoneRoom("phones", p.failed(), "phones.title") }

func (p PhoneAdd) about() about {
	if p.Replaces != "" {
		return phoneRoom("phone-add", p.failed(), "phones.change.title")
	}
	return phoneRoom("phone-add", p.failed(), "phones.add.title")
}

func (p PhoneVerify) about() about {
	return phoneRoom("phone-verify", p.failed(), "phones.verify.title")
}

func phoneRoom(template string, failed bool, title string) about {
	return about{template: template, title: Say(title), nav: "authenticators", failed: failed}
}

// phoneRooms are the pages of the account, in a house that sends text messages.
func (s *Server) phoneRooms() []route {
	return []route{
		{aPage, "GET", phonesPath, s.phonesPage},
		{aPage, "POST", phonesPath, s.removePhone},
		{aPage, "GET", phonesPath + "/add", s.addPhonePage},
		{aPage, "POST", phonesPath + "/add", s.addPhone},
		{aPage, "POST", phonesPath + "/verify", s.verifyPhone},
		{aPage, "GET", phonesPath + "/state", s.newPhoneState},
	}
}

func (s *Server) phonesPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), s.phoneList(m, Form{}))
}

func (s *Server) phoneList(m member, f Form) PhoneList {
	page := PhoneList{Form: f, Accepted: m.about.Need.Accepts(proof.SMS) || m.about.Need.Accepts(proof.Voice)}
	for _, c := range m.about.Credentials {
		over := !c.ExpiresAt.IsZero() && !s.Now().Before(c.ExpiresAt)
		if c.Kind != authenticators.KindPhone || over {
			continue
		}
		row := PhoneRow{PhoneNumber: phoneNumber(c), Name: c.Name, MadeAt: c.MadeAt, UsedAt: c.LastUsedAt, Ends: c.ExpiresAt}
		if s.Now().Before(c.UsableAt) {
			row.From = c.UsableAt
		}
		page.Items = append(page.Items, row)
	}
	return page
}

func phoneNumber(c authenticators.Credential) PhoneNumber {
	f := authenticators.PhoneOf(c)
	n := PhoneNumber{ID: string(c.ID), Masked: f.Masked}
	n.reached(f.Ways)
	return n
}

func (n *PhoneNumber) reached(ways []proof.Method) {
	for _, w := range ways {
		n.SMS = n.SMS || w == proof.SMS
		n.Voice = n.Voice || w == proof.Voice
	}
}

// describePhone is what the list of all authenticators says of a number.
func describePhone(c authenticators.Credential, a *Authenticator) {
	n := phoneNumber(c)
	way := "sms+voice"
	if !n.SMS {
		way = "voice"
	} else if !n.Voice {
		way = "sms"
	}
	a.Facts = append(a.Facts, Fact{*Say("phones.ways"), *Say("phones.ways." + way)})
}

func (s *Server) removePhone(r *Request) error {
	m, err := r.freshMemberFor(phonesPath)
	if err != nil {
		return err
	}
	number, err := id.Parse[id.Authenticator](r.Text(FieldItem))
	if err != nil || r.Text(FieldDo) != DoRemove {
		return fault.New(fault.BadRequest, err)
	}
	res, err := s.Manage.Remove(r.Context(), m.caller, number)
	if err != nil {
		return err
	}
	if res.Refusal != nil {
		return r.RenderRefused(res.Refusal, r.frame(m), s.phoneList(m, Form{Problem: problem(res.Refusal, "")}))
	}
	return r.changed(res, phonesPath+"?done=phone-removed")
}

func (s *Server) addPhonePage(r *Request) error {
	replaces := r.Query(FieldReplaces)
	back := phonesPath + "/add"
	if _, err := id.Parse[id.Authenticator](replaces); err == nil {
		back += "?" + FieldReplaces + "=" + replaces
	}
	m, err := r.freshMemberFor(back)
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), s.phoneForm(m, replaces, Form{}))
}

func (s *Server) phoneForm(m member, replaces string, f Form) PhoneAdd {
	rules := s.Phones.Rules
	page := PhoneAdd{Form: f, Example: rules.Example(), Home: rules.Country != "", Prefixes: strings.Join(rules.Prefixes(), ", ")}
	for _, row := range s.phoneList(m, Form{}).Items {
		if replaces != "" && row.ID == replaces {
			page.Replaces, page.Old = row.ID, row.Masked
		}
	}
	return page
}

func (s *Server) addPhone(r *Request) error {
	replaces := r.Text(FieldReplaces)
	m, err := r.freshMemberFor(phonesPath)
	if err != nil {
		return err
	}
	wish := manage.PhoneWish{Number: r.Text(FieldNumber), Way: proof.Method(r.Text(FieldBy)), Replaces: id.Authenticator(replaces)}
	note, res, err := s.Phones.Keep.BeginPhone(r.Context(), m.caller, wish)
	if err != nil {
		return err
	}
	if res.Refusal == nil {
		return s.showVerify(r, m, note, nil)
	}
	page := s.phoneForm(m, replaces, Form{Problem: numberProblem(res.Refusal)})
	page.Number = r.Text(FieldNumber)
	return r.RenderRefused(res.Refusal, r.frame(m), page)
}

// numberProblem says at the field why a number is not taken.
func numberProblem(why *fault.Refusal) *Problem {
	p := problem(why, FieldNumber)
	if why.Code == fault.BadRequest || why.Code == fault.Forbidden {
		p.Sentence, p.Hint = Say(why.Hint), nil
	}
	return p
}

// showVerify asks for the code that was sent; why is what was refused.
func (s *Server) showVerify(r *Request, m member, note string, why *fault.Refusal) error {
	p, err := s.Phones.Keep.PendingPhone(m.caller, note)
	if fault.Of(err) == fault.AttemptExpired {
		return r.Redirect(phonesPath + "/add")
	}
	if err != nil {
		return err
	}
	page := PhoneVerify{Form: Form{Attempt: note, Problem: problem(why, FieldCode)}, Name: r.Text(FieldName), Number: PhoneNumber{Masked: p.Masked}}
	page.Problem.wrongCode("phone.wrong")
	page.Number.reached(p.Ways)
	state, _, err := s.Phones.Keep.PhoneState(r.Context(), m.caller)
	page.Sent = sent(p.Way, state, err == nil, s.Now().Sub(p.Asked), phonesPath+"/state")
	if why != nil {
		return r.RenderRefused(why, r.frame(m), page)
	}
	return r.Render(r.frame(m), page)
}

func (s *Server) verifyPhone(r *Request) error {
	m, err := r.freshMemberFor(phonesPath)
	if err != nil {
		return err
	}
	note := r.noteField()
	if r.Text(FieldDo) == DoSend {
		return s.verifyAgain(r, m, note)
	}
	res, err := s.Phones.Keep.ConfirmPhone(r.Context(), m.caller, note, r.Secret(FieldCode), r.Text(FieldName))
	if fault.Of(err) == fault.AttemptExpired {
		return r.Redirect(phonesPath + "/add")
	}
	if err != nil {
		return err
	}
	if res.Refusal != nil {
		return s.showVerify(r, m, note, res.Refusal)
	}
	return r.changed(res, phonesPath+"?done=phone-held")
}

func (s *Server) verifyAgain(r *Request, m member, note string) error {
	note, res, err := s.Phones.Keep.AskPhoneAgain(r.Context(), m.caller, note, proof.Method(r.Text(FieldBy)))
	if fault.Of(err) == fault.AttemptExpired {
		return r.Redirect(phonesPath + "/add")
	}
	if err != nil {
		return err
	}
	return s.showVerify(r, m, note, res.Refusal)
}

// newPhoneState is phoneState for a number that is being added.
func (s *Server) newPhoneState(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	state, asked, err := s.Phones.Keep.PhoneState(r.Context(), m.caller)
	by := proof.Voice
	if r.Query(FieldBy) == string(proof.SMS) {
		by = proof.SMS
	}
	return r.tellSent(sent(by, state, err == nil, s.Now().Sub(asked), phonesPath+"/state"))
}

func noteOf(err error) slog.Attr { return slog.String("fault", string(fault.Of(err))) }
