package web

import (
	"context"
	"time"

	"gatehouse/access"
	"gatehouse/accounts"
	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/manage"
	"gatehouse/words"
)

// member is a signed-in person on one of their own pages.
type member struct {
	caller manage.Caller
	about  manage.Overview
}

// member tells who is signed in and reads what their pages show.
func (r *Request) member() (member, error) {
	t, err := r.Session()
	if err != nil {
		return member{}, err
	}
	who, err := r.Who()
	if err != nil {
		return member{}, err
	}
	m := member{caller: manage.Caller{Ticket: t, Who: who}}
	m.about, err = r.server.Manage.Overview(r.Context(), m.caller)
	return m, err
}

// freshMember is member, after a full proof of the last few minutes. It is asked
// before a form is shown, so that nothing typed is lost to the question.
func (r *Request) freshMember() (member, error) {
	m, err := r.member()
	if err == nil && !r.server.Now().Before(m.caller.Ticket.FreshUntil(r.server.Life)) {
		err = fault.New(fault.FreshProofNeeded, nil)
	}
	return m, err
}

// frame is the frame of a page in the house: who is signed in, their language,
// zone and idle end.
func (r *Request) frame(m member) Frame {
	f := r.Frame()
	a, p := m.about.Account, r.server.Life
	if a.Locale != "" {
		f.Words = words.For(a.Locale)
	}
	f.Zone = zoneOf(a.Zone)
	f.Person = &Person{Name: a.Name, Email: a.Email, Console: mayIn(m.about.Memberships, access.ReadPolicy)}
	if len(m.about.Memberships) > 0 {
		f.Person.Organisation = m.about.Memberships[0].Name
	}
	f.Idle = &Idle{Until: m.caller.Ticket.IdleUntil, Absolute: m.caller.Ticket.AbsoluteUntil, Warn: p.WarnBefore}
	f.Done = Done(r.Query("done"))
	return f
}

func mayIn(ms []access.Membership, p access.Permission) bool {
	for _, m := range ms {
		if access.Can(m.Role, p) {
			return true
		}
	}
	return false
}

// zoneOf opens a time zone by its IANA name; UTC when we do not know it.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(zoneWish(name))
	if err != nil {
		return time.UTC
	}
	return zone
}

// zoneWish keeps what can be a zone's name. "Local" would be the server's own.
func zoneWish(name string) string {
	if len(name) > 64 || name == "Local" {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil {
		return ""
	}
	return name
}

// changed answers a change that gave the session a new id.
func (r *Request) changed(res manage.Result, to string) error {
	if res.Ticket != "" {
		r.SetSession(res.Ticket)
	}
	return r.Redirect(to)
}

func (s *Server) profilePage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	page, err := s.profile(r.Context(), m)
	if err != nil {
		return err
	}
	page.Reminders = s.reminders(r, m)
	return r.Render(r.frame(m), page)
}

func (s *Server) profile(ctx context.Context, m member) (Profile, error) {
	a := m.about.Account
	live, err := s.Manage.List(ctx, m.caller)
	p := Profile{Email: a.Email, Name: a.Name, Locale: a.Locale, Zone: a.Zone, Locales: s.locales(),
		PasswordAt: m.about.PasswordSetAt, Authenticators: len(listed(m.about)), CodesLeft: m.about.RecoveryLeft, Sessions: len(live)}
	if age := s.Choose.Policy.MaxAge; age > 0 && !p.PasswordAt.IsZero() {
		p.PasswordExpiry = p.PasswordAt.Add(age)
	}
	return p, err
}

// locales are the languages of this build.
func (s *Server) locales() []Language {
	var all []Language
	for _, tag := range words.Languages() {
		all = append(all, Language{Tag: tag, Name: words.For(tag).Say("language.name")})
	}
	return all
}

func (s *Server) setProfile(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	wish := manage.Profile{Name: r.Text(FieldName), Locale: r.Text(FieldLocale), Zone: r.Text(FieldZone)}
	if field := badProfile(wish); field != "" {
		page, err := s.profile(r.Context(), m)
		if err != nil {
			return err
		}
		page.Name, page.Locale, page.Zone = wish.Name, wish.Locale, wish.Zone
		why := flow.Refusal{Code: fault.BadRequest}
		page.Problem = &Problem{Code: why.Code, Field: field, Sentence: Say("profile.bad-" + field)}
		return r.RenderRefused(&why, r.frame(m), page)
	}
	if err := s.Manage.SetProfile(r.Context(), m.caller, wish); err != nil {
		return err
	}
	return r.Redirect("/account?done=profile")
}

// maxName bounds what a person is called, in characters.
const maxName = 100

func badProfile(p manage.Profile) string {
	switch {
	case len([]rune(p.Name)) > maxName:
		return FieldName
	case p.Locale != "" && words.For(p.Locale).Lang != p.Locale:
		return FieldLocale
	case p.Zone != "" && zoneWish(p.Zone) == "":
		return FieldZone
	}
	return ""
}

func (s *Server) passwordPage(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), s.passwordForm(m, nil))
}

func (s *Server) passwordForm(m member, why *fault.Refusal) PasswordChange {
	return PasswordChange{Form: Form{Problem: problem(why, FieldPassword)}, Email: m.about.Account.Email, SetAt: m.about.PasswordSetAt, Policy: s.Choose.Policy}
}

func (s *Server) changePasswordForm(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	res, err := s.Manage.ChangePassword(r.Context(), m.caller, r.Secret(FieldPassword))
	if err != nil {
		return err
	}
	if res.Refusal != nil {
		return r.RenderRefused(res.Refusal, r.frame(m), s.passwordForm(m, res.Refusal))
	}
	return r.changed(res, "/account/password?done=password")
}

func (s *Server) addAuthenticatorPage(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	note, secret, uri, err := s.Manage.BeginTOTP(r.Context(), m.caller)
	if err != nil {
		return err
	}
	page := Enrol{Form: Form{Attempt: note, Action: "/account/authenticators/add"}, Email: m.about.Account.Email, Key: secret.Reveal(), URI: uri.Reveal(), Account: true}
	return r.Render(r.frame(m), page)
}

func (s *Server) addAuthenticator(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	note := r.noteField()
	res, err := s.Manage.ConfirmTOTP(r.Context(), m.caller, note, r.Secret(FieldCode), r.Text(FieldName))
	if fault.Of(err) == fault.AttemptExpired {
		return r.Redirect("/account/authenticators/add")
	}
	if err != nil {
		return err
	}
	if res.Refusal == nil {
		return r.changed(res, "/account/authenticators?done=added")
	}
	secret, uri, err := s.Manage.ShowTOTP(r.Context(), m.caller, note)
	if err != nil {
		return err
	}
	page := Enrol{Form: Form{Attempt: note, Action: "/account/authenticators/add", Problem: problem(res.Refusal, FieldCode)},
		Email: m.about.Account.Email, Key: secret.Reveal(), URI: uri.Reveal(), Name: r.Text(FieldName), Account: true}
	page.Problem.wrongCode("enrol.wrong")
	return r.RenderRefused(res.Refusal, r.frame(m), page)
}

// noteField is the sealed note of something being set up; it may be longer than
// a text field.
func (r *Request) noteField() string { return r.form.Get(FieldAttempt) }

func (s *Server) codesPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), CodesLeft{Left: m.about.RecoveryLeft, Of: authenticators.RecoveryCodes, MadeAt: m.about.RecoveryMade})
}

func (s *Server) makeCodes(r *Request) error {
	if _, err := r.freshMemberFor("/account/recovery-codes/new"); err != nil {
		return err
	}
	return r.Redirect("/account/recovery-codes/new")
}

// freshMemberFor is freshMember for a button whose page is another.
func (r *Request) freshMemberFor(path string) (member, error) {
	r.after = path
	return r.freshMember()
}

func (s *Server) newCodesPage(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	note, codes, err := s.Manage.BeginRecoveryCodes(m.caller)
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), s.newCodes(m, note, reveal(codes), nil))
}

func (s *Server) newCodes(m member, note string, codes []string, why *fault.Refusal) RecoveryCodes {
	return RecoveryCodes{Form: Form{Attempt: note, Action: "/account/recovery-codes/new", Problem: problem(why, FieldConfirmed)},
		Email: m.about.Account.Email, Codes: codes, MadeAt: s.Now(), Origin: s.Origin, Account: true}
}

func (s *Server) confirmNewCodes(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	note := r.noteField()
	res, err := s.Manage.ConfirmRecoveryCodes(r.Context(), m.caller, note, r.Ticked(FieldConfirmed))
	if fault.Of(err) == fault.AttemptExpired {
		return r.Redirect("/account/recovery-codes")
	}
	if err != nil {
		return err
	}
	if res.Refusal == nil {
		return r.changed(res, "/account/recovery-codes?done=codes")
	}
	codes, err := s.Manage.ShowRecoveryCodes(m.caller, note)
	if err != nil {
		return err
	}
	return r.RenderRefused(res.Refusal, r.frame(m), s.newCodes(m, note, reveal(codes), res.Refusal))
}

func (s *Server) addressPage(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	return r.Render(r.frame(m), AddressChange{Email: m.about.Account.Email, Pending: m.about.PendingEmail})
}

func (s *Server) changeAddress(r *Request) error {
	m, err := r.freshMember()
	if err != nil {
		return err
	}
	wish := r.Text(FieldEmail)
	page := AddressChange{Email: m.about.Account.Email, Pending: m.about.PendingEmail, New: wish}
	if _, err := accounts.Canonical(wish); err != nil {
		why := fault.Refusal{Code: fault.BadRequest}
		page.Problem = &Problem{Code: why.Code, Field: FieldEmail, Sentence: Say("address.bad")}
		return r.RenderRefused(&why, r.frame(m), page)
	}
	res, err := s.Manage.AskAddressChange(r.Context(), m.caller, wish)
	if err != nil {
		return err
	}
	if res.Refusal != nil {
		page.Problem = problem(res.Refusal, FieldEmail)
		return r.RenderRefused(res.Refusal, r.frame(m), page)
	}
	return r.Redirect("/account/address?done=address-asked")
}

func (s *Server) policyPage(r *Request) error {
	m, err := r.member()
	if err != nil {
		return err
	}
	if !mayIn(m.about.Memberships, access.ReadPolicy) {
		return fault.New(fault.Forbidden, nil)
	}
	page := PolicyPresets{Current: s.Choose.Policy.Preset}
	for _, preset := range authenticators.Presets() {
		p, err := authenticators.PolicyOf(preset, int(s.Choose.Policy.MaxAge/(24*time.Hour)))
		if err != nil {
			return err
		}
		page.Presets = append(page.Presets, p)
	}
	return r.Render(r.frame(m), page)
}
