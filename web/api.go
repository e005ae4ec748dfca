package web

import (
	_ "embed"
	"net/http"

	"gatehouse/fault"
	"gatehouse/flow"
)

// openAPI describes the API, by hand. Tests hold it against the route table and
// its examples against its schemas.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) apiDescription(r *Request) error {
	return r.Send(http.StatusOK, jsonType, s.openAPI)
}

func (s *Server) apiSignIn(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ShowPassword, Email: f.text("email"), Secret: f.secret("password")}
	})
}

func (s *Server) apiCode(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ShowCode, Secret: f.secret("code")}
	})
}

func (s *Server) apiRecovery(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ShowRecovery, Secret: f.secret("code")}
	})
}

func (s *Server) apiEnrol(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.EnrolCode, Secret: f.secret("code"), Name: f.text("name")}
	})
}

func (s *Server) apiConfirmCodes(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ConfirmCodes, Confirmed: f.flag("confirmed")}
	})
}

func (s *Server) apiNewPassword(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ChoosePassword, Secret: f.secret("password")}
	})
}

func (s *Server) apiResendLink(r *Request) error {
	return r.takeStep(func(*reader) flow.Input { return flow.Input{Do: flow.ResendLink} })
}

func (s *Server) apiForgot(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.ForgotPassword, Email: f.text("email")}
	})
}

func (s *Server) apiUnlock(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.AskUnlock, Email: f.text("email")}
	})
}

func (s *Server) apiLink(r *Request) error {
	return r.takeStep(func(f *reader) flow.Input {
		return flow.Input{Do: flow.OpenLink, Link: f.secret("token")}
	})
}

// apiResume tells what an attempt is waiting for; nothing is spent.
func (s *Server) apiResume(r *Request) error {
	f, err := r.readFields()
	if err != nil {
		return err
	}
	attempt := f.text("attempt")
	who, device, err := r.whoByField(f)
	if err != nil {
		return err
	}
	out, err := s.Flow.Resume(attempt, who)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, stepOf(out, device))
}

// takeStep is every step of the API: read, submit, tell.
func (r *Request) takeStep(read func(*reader) flow.Input) error {
	f, err := r.readFields()
	if err != nil {
		return err
	}
	in := read(f)
	in.Attempt, in.Place = f.text("attempt"), orElse(f.text("place"), r.cookie(r.server.cookies.wait))
	var device string
	if in.Who, device, err = r.whoByField(f); err != nil {
		return err
	}
	in.Session = r.sessionIfAny()
	out, err := r.Submit(in)
	if err != nil {
		return err
	}
	return r.tellStep(out, device)
}

func (r *Request) tellStep(out flow.Outcome, device string) error {
	if out.Refusal != nil {
		return r.tellRefusal(out, device)
	}
	if out.Next == flow.Done {
		r.SetSession(out.Ticket)
	}
	return r.JSON(http.StatusOK, stepOf(out, device))
}

func (r *Request) tellRefusal(out flow.Outcome, device string) error {
	why, kind := out.Refusal, fault.Lookup(out.Refusal.Code)
	said := apiError{Error: r.tell(kind.Code), Reasons: sayReasons(r.Words(), why.Reasons), Next: out.Next, Attempt: out.Attempt, Device: device}
	if why.Hint != "" {
		said.Hint = r.Words().Say(why.Hint, why.HintFields...)
	}
	if why.RetryAfter > 0 {
		r.setRetryAfter(why.RetryAfter)
	}
	r.challenge(kind.Status)
	return r.JSON(kind.Status, said)
}

// challenge says how to authenticate, as RFC 9110 §15.5.2 asks of every 401.
func (r *Request) challenge(status int) {
	if status == http.StatusUnauthorized {
		r.w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
	}
}

func (r *Request) readFields() (*reader, error) {
	raw, err := r.body()
	if err != nil {
		return nil, err
	}
	f, err := parseFields(raw)
	return &reader{fields: f}, err
}

// whoByField is Who for a program: its device token comes as a field, or as the
// cookie when it keeps cookies. The token to keep goes back with every answer.
func (r *Request) whoByField(f *reader) (who flow.Who, token string, err error) {
	token = f.text("device")
	if f.err != nil {
		return who, "", f.err
	}
	defer func() { r.token = token }()
	if device, _ := r.server.openDevice(token); device != "" {
		r.device, r.brought = device, true
	} else if token = r.cookie(r.server.cookies.device); token == "" || !r.server.ours(token) {
		token = ""
	}
	if who, err = r.Who(); err != nil || token != "" {
		return who, token, err
	}
	token, err = r.server.sealDevice(who.Device)
	return who, token, err
}

// ours tells a living device token.
func (s *Server) ours(token string) bool {
	device, _ := s.openDevice(token)
	return device != ""
}

// apiSignOut ends the session that asks. Ending one that is over is no error.
func (s *Server) apiSignOut(r *Request) error {
	token, _ := s.sessionToken(r.HTTP)
	t, _, err := s.Sessions.Check(token, s.Now())
	if err := r.leave(t, err); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}
