package web

import (
	"net/http"

	"gatehouse/authenticators"
	"gatehouse/fault"
	"gatehouse/seal"
	"gatehouse/words"
)

// apiStrength tells how a password does while it is being typed. It works only
// inside a sign-in or a session: it is a meter for somebody choosing a password,
// not a service for testing lists of them.
func (s *Server) apiStrength(r *Request) error {
	f, err := r.readFields()
	if err != nil {
		return err
	}
	pw, attempt := f.secret("password"), f.text("attempt")
	person, err := r.chooser(f, attempt)
	if err != nil {
		return err
	}
	if len(pw.Reveal()) > authenticators.MaxPasswordBytes {
		return fault.New(fault.PasswordTooLong, nil)
	}
	strength, err := s.estimate(pw, person)
	if err != nil {
		return err
	}
	judged := s.Choose.Policy.Judge(pw, person, s.Choose.Lists)
	return r.JSON(http.StatusOK, apiStrong{
		Score:      strength.Score,
		Label:      r.Words().Say(strength.Label()),
		Acceptable: len(judged) == 0,
		Reasons:    sayReasons(r.Words(), append(judged, strength.Reasons...)),
	})
}

// meterRunes is how much of a password the meter looks at. Its matchers take time
// that grows with the square of the length, and the judgement sees all of it.
const meterRunes = 64

// estimate is one at a time on a node: the meter must never take the cores from
// somebody who signs in. Who comes meanwhile sees no verdict for this letter.
func (s *Server) estimate(pw seal.Secret, person authenticators.Personal) (authenticators.Strength, error) {
	if s.condition().Busy {
		return authenticators.Strength{}, fault.New(fault.Busy, nil)
	}
	select {
	case s.meter <- struct{}{}:
		defer func() { <-s.meter }()
	default:
		return authenticators.Strength{}, fault.New(fault.Busy, nil)
	}
	text := []rune(pw.Reveal())
	return authenticators.Estimate(seal.Secret(text[:min(len(text), meterRunes)]), person), nil
}

// chooser is who chooses a password: the person of the attempt, or of the session.
func (r *Request) chooser(f *reader, attempt string) (authenticators.Personal, error) {
	person := authenticators.Personal{Email: boundedText(f.text("email"), maxField), Product: words.For().Say("product.name")}
	who, _, err := r.whoByField(f)
	if err != nil {
		return person, err
	}
	if attempt == "" {
		attempt = r.Attempt()
	}
	if attempt != "" {
		if out, err := r.server.Flow.Resume(attempt, who); err == nil {
			person.Email, person.Name = out.View.Email, out.View.Name
			return person, nil
		}
	}
	token, _ := r.server.sessionToken(r.HTTP)
	_, _, err = r.server.Sessions.Check(token, r.server.Now())
	return person, err
}

func sayReasons(w *words.Catalogue, why []fault.Reason) []apiReason {
	said := make([]apiReason, 0, len(why))
	for _, y := range why {
		said = append(said, apiReason{y.Key, w.Say(y.Key, y.Fields()...)})
	}
	return said
}
