package notices

import (
	"strings"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/outbox"
	"gatehouse/words"
)

const origin = "https://gatehouse.example"

var made = time.Date(2026, 11, 21, 14, 5, 0, 0, time.UTC)

func office() *Notices { return &Notices{Origin: origin, Product: "Harbour Books"} }

func about(k outbox.Kind, more ...string) outbox.Message {
	m := outbox.Message{
		ID: "0199f000-0000-7000-8000-00000000abcd", Kind: k, To: "ana@example.com", Locale: "en",
		MadeAt: made, Expires: made.Add(30 * time.Minute),
		Fields: map[string]string{
			outbox.Name: "Ana", outbox.Zone: "Europe/Lisbon", outbox.Time: made.Format(time.RFC3339),
			outbox.Device: "Chrome on macOS", outbox.Network: "203.0.113.7", outbox.Left: "4",
			outbox.Link: origin + "/link/abc123",
		},
	}
	for i := 0; i+1 < len(more); i += 2 {
		m.Fields[more[i]] = more[i+1]
	}
	return m
}

func render(t *testing.T, m outbox.Message) Mail {
	t.Helper()
	mail, err := office().Render(m)
	if err != nil {
		t.Fatal(err)
	}
	return mail
}

func TestEveryKindOfMailHasADesignAndEveryWordItNeeds(t *testing.T) {
	mails := -1 // outbox.Void is never worded
	for _, d := range outbox.Kinds() {
		if d.Kind.Channel() == outbox.Mail {
			mails++
		}
	}
	if len(designs) != mails {
		t.Errorf("%d designs for %d kinds", len(designs), len(outbox.Kinds()))
	}
	for _, k := range outbox.Kinds() {
		if k.Kind == outbox.Void || k.Kind.Channel() != outbox.Mail { // the one that is never sent, and what is no mail
			continue
		}
		t.Run(string(k.Kind), func(t *testing.T) {
			m := render(t, about(k.Kind))
			for part, text := range map[string]string{"subject": m.Subject, "text": m.Text, "HTML": m.HTML} {
				if strings.ContainsAny(text, "⟦⟧") || text == "" {
					t.Errorf("the %s lacks words: %s", part, text)
				}
			}
			if strings.Contains(m.Subject+m.Text, "{") {
				t.Errorf("a hole is left: %s\n%s", m.Subject, m.Text)
			}
			if !strings.Contains(m.Text, "Hello Ana,") || !strings.Contains(m.HTML, "Hello Ana,") {
				t.Error("nobody is greeted")
			}
		})
	}
}

func TestANoticeSaysWhatWhereWhenAndHowToStopIt(t *testing.T) {
	for _, d := range designs {
		if d.Asks || d.Out {
			continue
		}
		m := render(t, about(d.Kind, outbox.Place, "Lisbon, Portugal"))
		for _, want := range []string{
			"Chrome on macOS", "Lisbon, Portugal", "Saturday, 21 November 2026, 14:05 Europe/Lisbon (UTC+0)",
			origin + "/account/sessions", "ask your security admin",
		} {
			if !strings.Contains(m.Text, want) {
				t.Errorf("%s: the text does not say %q", d.Kind, want)
			}
			if !strings.Contains(m.HTML, strings.ReplaceAll(want, "+", "&#43;")) {
				t.Errorf("%s: the HTML does not say %q", d.Kind, want)
			}
		}
	}
}

func TestALinkMailSaysUntilWhenAndWhatIfItWasNotYou(t *testing.T) {
	for _, d := range designs {
		if !d.Asks {
			continue
		}
		m := render(t, about(d.Kind))
		for _, want := range []string{origin + "/link/abc123", "until Saturday, 21 November 2026, 14:35 Europe/Lisbon (UTC+0)", "If you"} {
			if !strings.Contains(m.Text, want) {
				t.Errorf("%s does not say %q:\n%s", d.Kind, want, m.Text)
			}
		}
	}
}

func TestAMailHasNoPictureNoScriptAndNoLinkToAnywhereElse(t *testing.T) {
	for _, d := range designs {
		m := render(t, about(d.Kind))
		for _, bad := range []string{"<img", "<script", "<link", "<iframe", "url(", "@import", "src=", "onclick", "utm_", "?"} {
			if strings.Contains(strings.ToLower(m.HTML), bad) {
				t.Errorf("%s: the HTML holds %q", d.Kind, bad)
			}
		}
		for _, part := range []string{m.HTML, m.Text} {
			for rest := part; ; {
				i := strings.Index(rest, "http")
				if i < 0 {
					break
				}
				rest = rest[i:]
				if !strings.HasPrefix(rest, origin) {
					t.Errorf("%s leads to %.40q", d.Kind, rest)
				}
				rest = rest[4:]
			}
		}
	}
}

func TestTimesAreThePersonsOwn(t *testing.T) {
	summer := time.Date(2026, 7, 1, 23, 30, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		zone string
		at   time.Time
		want string
	}{
		"Lisbon in winter":                {"Europe/Lisbon", made, "Saturday, 21 November 2026, 14:05 Europe/Lisbon (UTC+0)"},
		"Lisbon in summer, the day after": {"Europe/Lisbon", summer, "Thursday, 2 July 2026, 00:30 Europe/Lisbon (UTC+1)"},
		"Auckland, the next day":          {"Pacific/Auckland", made, "Sunday, 22 November 2026, 03:05 Pacific/Auckland (UTC+13)"},
		"Kolkata, half an hour off":       {"Asia/Kolkata", made, "Saturday, 21 November 2026, 19:35 Asia/Kolkata (UTC+5:30)"},
		"New York":                        {"America/New_York", made, "Saturday, 21 November 2026, 09:05 America/New_York (UTC-5)"},
		"UTC":                             {"UTC", made, "Saturday, 21 November 2026, 14:05 UTC"},
		"no zone":                         {"", made, "Saturday, 21 November 2026, 14:05 UTC"},
		"a zone nobody knows":             {"Moon/Tycho", made, "Saturday, 21 November 2026, 14:05 UTC"},
		"a path instead of a zone":        {"../../etc/passwd", made, "Saturday, 21 November 2026, 14:05 UTC"},
		"the server's own zone":           {"Local", made, "Saturday, 21 November 2026, 14:05 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := moment(words.For("en"), row.at, zoneOf(row.zone)); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

func TestWhatPeopleChoseCannotDressUpOurMails(t *testing.T) {
	for name, row := range map[string]struct{ given, want string }{
		"a name":                              {"Ana Sousa", "Ana Sousa"},
		"initials":                            {"J.R. Hartley", "J.R. Hartley"},
		"a name with an apostrophe":           {"Aoife O’Neill", "Aoife O’Neill"},
		"a name in another script":            {"陳大文", "陳大文"},
		"a line break":                        {"Ana\r\nBcc: eve@example.com", ""},
		"a line break and nothing else":       {"Ana\r\nBcc: all", "Ana Bcc: all"},
		"a link":                              {"Win at https://evil.example", ""},
		"a link without a scheme":             {"Visit evil.example now", ""},
		"a link whose name ends in a digit":   {"Call bank24.com", ""},
		"a link with a dot of another script": {"Visit evil。com now", ""},
		"a link with www":                     {"www.evil", ""},
		"an address":                          {"ana@example.com", ""},
		"letters that turn the line round":    {"Ana\u202egnp", "Anagnp"},
		"a tab and a null":                    {"A\tn\x00a", "A n a"},
		"invalid UTF-8":                       {"An\xffa", "Ana"},
		"nothing":                             {"", ""},
		"a novel":                             {strings.Repeat("é", 200), strings.Repeat("é", maxPlain) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			got := plain(row.given)
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestAHostileNameIsEscapedInHTMLAndHarmlessInText(t *testing.T) {
	m := render(t, about(outbox.NewDevice, outbox.Name, `<b onmouseover="x">Ana</b> & {device}`, outbox.Place, "<i>Here</i>\nThere"))
	if strings.Contains(m.HTML, "<b onmouseover") || strings.Contains(m.HTML, "<i>") {
		t.Errorf("markup went through:\n%s", m.HTML)
	}
	if !strings.Contains(m.HTML, "&lt;i&gt;Here&lt;/i&gt; There") {
		t.Error("the place is not told")
	}
	if !strings.Contains(m.Text, "{device}") {
		t.Error("a name brought a placeholder of its own and it was filled")
	}
	if strings.ContainsAny(m.Subject, "\r\n") {
		t.Errorf("the subject is more than a line: %q", m.Subject)
	}
}

func TestALinkToAnywhereElseIsNeverMailed(t *testing.T) {
	for name, link := range map[string]string{
		"another host":           "https://evil.example/link/abc",
		"a host that begins so":  origin + ".evil.example/link/abc",
		"a user in front":        "https://gatehouse.example@evil.example/link/abc",
		"another scheme":         "javascript:alert(1)//" + origin + "/",
		"no TLS":                 "http://gatehouse.example/link/abc",
		"nothing":                "",
		"a second line":          origin + "/link/abc\r\nhttps://evil.example",
		"a quote":                origin + `/link/abc"onclick="x`,
		"an origin without path": origin,
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := office().Render(about(outbox.Reset, outbox.Link, link)); err == nil {
				t.Errorf("was worded:\n%s", m.Text)
			} else if strings.Contains(err.Error(), "evil") {
				t.Errorf("the error tells the link: %v", err)
			}
		})
	}
}

func TestSubjectsNameWhatHappened(t *testing.T) {
	for name, row := range map[string]struct {
		m    outbox.Message
		want string
	}{
		"a new device at an unknown place": {about(outbox.NewDevice), "New sign-in from Chrome on macOS"},
		"a new device at a known place":    {about(outbox.NewDevice, outbox.Place, "Lisbon"), "New sign-in from Chrome on macOS in Lisbon"},
		"a forgotten password":             {about(outbox.Reset), "Choose a new password for Harbour Books"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := render(t, row.m).Subject; got != row.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestOneCodeLeftIsOneCode(t *testing.T) {
	if m := render(t, about(outbox.RecoveryCodeUsed, outbox.Left, "1")); !strings.Contains(m.Text, "1 code is left") {
		t.Error(m.Text)
	}
	if m := render(t, about(outbox.RecoveryCodeUsed, outbox.Left, "9")); !strings.Contains(m.Text, "9 codes are left") {
		t.Error(m.Text)
	}
}

func TestOnlyOneBareAddressIsARecipient(t *testing.T) {
	for name, row := range map[string]struct{ given, want string }{
		"an address":                 {"ana@example.com", "ana@example.com"},
		"a tag":                      {"ana+books@example.com", "ana+books@example.com"},
		"a domain in another script": {"ana@bücher.example", "ana@xn--bcher-kva.example"},
		"a local part in another":    {"ána@example.com", "ána@example.com"},
		"two addresses":              {"ana@example.com,eve@example.com", ""},
		"a name in front":            {"Ana <ana@example.com>", ""},
		"a header behind":            {"ana@example.com\r\nBcc: eve@example.com", ""},
		"an SMTP command behind":     {"ana@example.com>\r\nRCPT TO:<eve@example.com", ""},
		"a quoted local part":        {`"ana eve"@example.com`, ""},
		"a list":                     {"group: ana@example.com;", ""},
		"no domain":                  {"ana@", ""},
		"nothing":                    {"", ""},
		"a null":                     {"ana\x00@example.com", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := recipient(row.given)
			if (err == nil) != (row.want != "") || err == nil && got.Address != row.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func FuzzNobodysNameBreaksAMail(f *testing.F) {
	f.Add("Ana", "Lisbon")
	f.Add("Ana\r\nBcc: x", "<b>")
	f.Fuzz(func(t *testing.T, name, place string) {
		m, err := office().Render(about(outbox.NewDevice, outbox.Name, name, outbox.Place, place))
		if err != nil {
			t.Fatal(err)
		}
		m.ID = string(id.Message("x"))
		msg, err := message(m, "Gatehouse <login@gatehouse.example>")
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := msg.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(b.String(), "\r\n\r\n")
		if strings.Contains(head, "\nBcc") || strings.Contains(head, "\r\nX-") {
			t.Errorf("a header was slipped in:\n%s", head)
		}
	})
}
