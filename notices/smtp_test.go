package notices

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/outbox"
)

// opened is a mail as a mail program sees it.
type opened struct {
	netmail.Header
	parts map[string]string // by media type
	order []string
}

func open(t *testing.T, data string) opened {
	t.Helper()
	msg, err := netmail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("the mail is %q, %v", kind, err)
	}
	o := opened{Header: msg.Header, parts: map[string]string{}}
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return o
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		o.parts[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
		o.order = append(o.order, kind)
	}
}

// EXPECTED C28: text and HTML, own domain, zone shown, nothing tracked.
func TestAMailArrivesAsItShould(t *testing.T) {
	s := newSink(t, nil)
	m := render(t, about(outbox.NewDevice, outbox.Place, "Lisbon"))
	if err := s.sender().Send(t.Context(), m); err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	got := s.got()
	if len(got) != 1 || !got[0].secure {
		t.Fatalf("arrived: %+v", got)
	}
	if got[0].to != "TO:<ana@example.com>" || !strings.HasPrefix(got[0].from, "FROM:<login@gatehouse.example>") {
		t.Errorf("envelope %q %q", got[0].from, got[0].to)
	}
	if !s.said("EHLO gatehouse.example") {
		t.Error("it introduced itself otherwise")
	}
	o := open(t, got[0].data)
	for header, want := range map[string]string{
		"From":             `"Harbour Books" <login@gatehouse.example>`,
		"To":               "<ana@example.com>",
		"Subject":          "New sign-in from Chrome on macOS in Lisbon",
		"Message-ID":       "<" + m.ID + "@gatehouse.example>",
		"Date":             "Sat, 21 Nov 2026 14:05:00 +0000",
		"Auto-Submitted":   "auto-generated",
		"Content-Language": "en",
	} {
		if o.Get(header) != want {
			t.Errorf("%s is %q, not %q", header, o.Get(header), want)
		}
	}
	for _, header := range []string{"List-Unsubscribe", "X-Mailer", "User-Agent", "Disposition-Notification-To", "Return-Receipt-To"} {
		if o.Get(header) != "" {
			t.Errorf("there is a %s", header)
		}
	}
	if len(o.order) != 2 || o.order[0] != "text/plain" || o.order[1] != "text/html" {
		t.Fatalf("parts %v", o.order)
	}
	if o.parts["text/plain"] != m.Text || o.parts["text/html"] != m.HTML {
		t.Errorf("a part changed on its way:\n%s", o.parts["text/plain"])
	}
	if !strings.Contains(o.parts["text/plain"], "Europe/Lisbon (UTC+0)") || !strings.Contains(o.parts["text/html"], "Europe/Lisbon (UTC&#43;0)") {
		t.Error("the zone is not shown")
	}
}

func TestTheWayToTheServerIsProtectedOrNothingIsSent(t *testing.T) {
	for name, row := range map[string]struct {
		server func(*sink)
		client func(*SMTP)
		fails  outbox.Class // "" = arrives
		secure bool
	}{
		"STARTTLS":                         {nil, nil, "", true},
		"TLS from the first byte":          {func(s *sink) { s.implicit = true }, func(c *SMTP) { c.TLS = ImplicitTLS }, "", true},
		"no TLS on offer":                  {func(s *sink) { s.noTLS = true }, nil, outbox.NotTrusted, false},
		"no TLS on offer, and none asked":  {func(s *sink) { s.noTLS = true }, func(c *SMTP) { c.TLS = NoTLS }, "", false},
		"when offered, and it is":          {nil, func(c *SMTP) { c.TLS = Opportunistic }, "", true},
		"when offered, and it is not":      {func(s *sink) { s.noTLS = true }, func(c *SMTP) { c.TLS = Opportunistic }, "", false},
		"a certificate nobody vouches for": {nil, func(c *SMTP) { c.Roots = nil }, outbox.NotTrusted, false},
		"a certificate nobody vouches for, TLS from the first byte": {
			func(s *sink) { s.implicit = true }, func(c *SMTP) { c.TLS, c.Roots = ImplicitTLS, nil }, outbox.NotTrusted, false},
		"the right password": {func(s *sink) { s.user = "gate" }, func(c *SMTP) { c.Username, c.Password = "gate", "right" }, "", true},
		"the wrong password": {func(s *sink) { s.user = "gate" }, func(c *SMTP) { c.Username, c.Password = "gate", "wrong-secret" }, outbox.NotAllowed, false},
		"the right password, implicit TLS": {
			func(s *sink) { s.user, s.implicit = "gate", true }, func(c *SMTP) { c.TLS, c.Username, c.Password = ImplicitTLS, "gate", "right" }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, row.server)
			c := s.sender()
			if row.client != nil {
				row.client(c)
			}
			outcome(t, c, row.fails)
			got := s.got()
			if (len(got) == 1) != (row.fails == "") || len(got) == 1 && got[0].secure != row.secure {
				t.Errorf("arrived: %d, secure %v", len(got), len(got) == 1 && got[0].secure)
			}
		})
	}
}

// outcome sends one mail and looks at the class, and that no error tells whom it was for.
func outcome(t *testing.T, c *SMTP, want outbox.Class) {
	t.Helper()
	err := c.Send(t.Context(), render(t, about(outbox.Reset)))
	var f *Failure
	if (err != nil) != (want != "") || err != nil && (!errors.As(err, &f) || f.Class != want) {
		t.Errorf("got %v (%v), want class %q", err, errors.Unwrap(err), want)
	}
	if err != nil && (strings.Contains(err.Error(), "ana@") || strings.Contains(err.Error(), "link/") || strings.Contains(err.Error(), "secret")) {
		t.Errorf("the error tells too much: %v", err)
	}
}

func TestWhatAServerAnswersBecomesAClass(t *testing.T) {
	for name, row := range map[string]struct {
		command, answer string
		want            outbox.Class
	}{
		"nobody of that name":    {"RCPT", "550 5.1.1 <ana@example.com> unknown", outbox.Refused},
		"mailbox full":           {"RCPT", "452 4.2.2 full", outbox.Later},
		"sender not welcome":     {"MAIL", "550 5.7.1 no", outbox.Refused},
		"greylisted":             {"DATA", "451 4.7.1 later", outbox.Later},
		"a password is needed":   {"MAIL", "530 5.7.0 authenticate first", outbox.NotAllowed},
		"not now":                {"EHLO/HELO", "421 busy", outbox.Later},
		"a bad word after 250":   {"RSET", "500 what", ""},
		"a bad word at good-bye": {"QUIT", "500 what", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, func(s *sink) {
				for c := range strings.SplitSeq(row.command, "/") {
					s.answers[c] = row.answer
				}
			})
			outcome(t, s.sender(), row.want)
		})
	}
}

func TestAMailThatWasTakenIsSentEvenWhenTheServerHangsUp(t *testing.T) {
	s := newSink(t, func(s *sink) { s.rude = true })
	outcome(t, s.sender(), "")
	if len(s.got()) != 1 {
		t.Error("nothing arrived")
	}
}

func TestAServerThatIsNotThereOrSaysNothingIsUnreachable(t *testing.T) {
	away := newSink(t, nil)
	c := away.sender()
	away.listener.Close()
	outcome(t, c, outbox.Unreachable)

	silent := newSink(t, func(s *sink) { s.answers["RCPT"] = "" })
	c = silent.sender()
	c.Timeout = 200 * time.Millisecond
	outcome(t, c, outbox.Unreachable)
}

func TestNoAddressReachesTheServerThatIsMoreThanOne(t *testing.T) {
	s := newSink(t, nil)
	for _, to := range []string{"ana@example.com>\r\nRCPT TO:<eve@example.com", "ana@example.com\r\nBcc: eve@example.com", "ana@example.com, eve@example.com"} {
		m := render(t, about(outbox.Reset))
		m.To = to
		var f *Failure
		if err := s.sender().Send(t.Context(), m); !errors.As(err, &f) || f.Class != outbox.Unwritable || strings.Contains(err.Error(), "eve") {
			t.Errorf("%q: %v", to, err)
		}
	}
	if len(s.got()) != 0 || s.said("RCPT") {
		t.Error("something was sent")
	}
}

func TestASubjectIsOneLineWhateverStandsInIt(t *testing.T) {
	s := newSink(t, nil)
	m := render(t, about(outbox.Reset))
	m.Subject = "Hello\r\nBcc: eve@example.com\r\n\r\n<b>"
	if err := s.sender().Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	o := open(t, s.got()[0].data)
	if o.Get("Bcc") != "" || !strings.HasPrefix(o.Get("Subject"), "Hello Bcc: eve@example.com") {
		t.Errorf("headers: %v", o.Header)
	}
}

func TestSettingsThatCannotWorkAreFoundBeforeAMailIsSent(t *testing.T) {
	good := SMTP{Host: "smtp.example.com", From: "Gatehouse <login@example.com>"}
	if err := good.Check(); err != nil {
		t.Errorf("the good one: %v", err)
	}
	for name, spoil := range map[string]func(*SMTP){
		"no host":       func(s *SMTP) { s.Host = "" },
		"no sender":     func(s *SMTP) { s.From = "Gatehouse" },
		"a strange TLS": func(s *SMTP) { s.TLS = "maybe" },
		"a wild port":   func(s *SMTP) { s.Port = 70000 },
	} {
		bad := good
		spoil(&bad)
		if bad.Check() == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestAFolderHoldsEachMailToReadAndToOpen(t *testing.T) {
	f := &Folder{Dir: filepath.Join(t.TempDir(), "outbox"), From: "Harbour Books <login@gatehouse.example>"}
	first, second := about(outbox.Reset), about(outbox.NewDevice)
	second.ID, second.MadeAt = "0199f000-0000-7000-8000-00000000ef01", made.Add(time.Second)
	for _, m := range []outbox.Message{second, first, first, second} {
		if err := f.Send(t.Context(), render(t, m)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{
		"0-latest.txt",
		"2026-11-21T140500.000000Z-reset-0000abcd.eml", "2026-11-21T140500.000000Z-reset-0000abcd.txt",
		"2026-11-21T140501.000000Z-notice.new-device-0000ef01.eml", "2026-11-21T140501.000000Z-notice.new-device-0000ef01.txt",
	}
	if strings.Join(names, "\n") != strings.Join(want, "\n") {
		t.Fatalf("files:\n%s", strings.Join(names, "\n"))
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(f.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	text := read(want[2])
	for _, line := range []string{"To:      ana@example.com\n", "Subject: Choose a new password for Harbour Books\n", "\n" + origin + "/link/abc123\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("the text lacks %q:\n%s", line, text)
		}
	}
	if read(want[0]) != read(want[4]) {
		t.Error("0-latest.txt is not the latest")
	}
	if o := open(t, read(want[1])); o.Get("Message-ID") == "" || o.parts["text/html"] == "" {
		t.Error("the .eml is no mail")
	}
	if st, err := os.Stat(f.Dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("others may look in: %v %v", st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Join(f.Dir, want[2])); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others may read: %v %v", st.Mode(), err)
	}
}

func TestNobodyNamesAFileInTheFolder(t *testing.T) {
	f := &Folder{Dir: t.TempDir(), From: "login@gatehouse.example"}
	m := render(t, about(outbox.Reset))
	m.ID = "../../etc/passwd"
	if err := f.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(f.Dir, "*unnamed*")); len(found) != 2 {
		t.Errorf("found %v", found)
	}
}
