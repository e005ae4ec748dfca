package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"gatehouse/web"
)

// What is wrong, and what to do, in words for somebody who was woken.
var wrong = map[string]string{
	"database":       "The primary database does not answer. Sign-ins go on from this node's standby; changes have to wait. Look at the database; what was done meanwhile is handed over by itself.",
	"stores":         "Neither the primary database nor this node's standby answers. Nobody can sign in on this node. Look at the database first; with it the standby comes back by itself.",
	"signin":         "Nobody gets in on this node. Idle time-outs are stretched meanwhile, so nobody is thrown out for it.",
	"refused":        "This node finds right passwords or codes wrong, or breaks on them; others may not. Take it out of service and look at its log and its key folder (gatehouse doctor).",
	"clock":          "This machine's clock was set back. Set it right: timedatectl set-ntp true",
	"clock-far":      "This machine's clock is so far behind that right codes are refused. Set it right: timedatectl set-ntp true",
	"database-clock": "This machine's clock and the database's differ. Set both right: timedatectl set-ntp true",
	"unheard":        "This node has not heard for a while who was thrown out elsewhere.",
	"blind":          "This node has not heard for so long who was thrown out that it answers no session check (sessions.blind).",
	"disk":           "This node's disk takes no more writes: df -h",
	"standby":        "This node's standby would be of little use if the primary went away now.",
	"journal":        "The primary is back, but has not taken what this node's standby did. The log of gatehouse serve says why.",
	"parked":         "Something was set aside because it could not be handled, and waits for a person; all else goes on. Of a reader named above: gatehouse events parked. Otherwise an entry of this node's journal: see the log of gatehouse serve.",
	"overload":       "More people come than get in at once. They are asked to wait, and let in one after the other.",
	"followers":      "Readers of the log of events are far behind. Sign-ins do not wait for them.",
	"mail":           "No mail leaves. Sign-ins do not need it; links and notices wait. Look at the mail server (gatehouse doctor).",
}

// What the checks of /readyz mean, when one says that people should go elsewhere.
var unready = map[string]string{
	"start":   " (it has not heard from its database since it started)",
	"leaving": " (it is shutting down)",
	"signin":  " (its own sign-in does not succeed)",
	"clock":   " (its clock is far behind)",
}

func writeStanding(w io.Writer, s standing) {
	if s.Status == nil {
		fmt.Fprintf(w, "%s\n  NO ANSWER  %s\n  See whether it runs: systemctl status gatehouse\n", s.URL, s.Error)
		return
	}
	st := s.Status
	fmt.Fprintf(w, "%s  node %s  %s\n", s.URL, st.Node, st.Version)
	fmt.Fprintf(w, "  %s%s\n\n", strings.ToUpper(st.Status), tierWords(st))
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("Sign-in", "%s", signInWords(st))
	line("Signed in", "%s", either(st.Works.Sessions, "go on", "cannot be checked"))
	line("Changes", "%s", either(st.Works.Changes, "work", "have to wait"))
	line("Mail", "%s", either(st.Works.Mail, "leaves", "waits"))
	for _, i := range st.Issues {
		fmt.Fprintf(w, "\n  %s %s since %s%s\n     %s\n", i.Tier, i.Feature, clockTime(i.Since, st.At), detailWords(i), wrong[i.Feature])
	}
	fmt.Fprintln(w)
	writeParts(line, st)
}

func writeParts(line func(name, format string, args ...any), st *web.Status) {
	line("Own sign-in", "%s", canaryWords(st))
	if !st.Grace.IsZero() {
		line("Grace", "idle time-outs are stretched since %s", clockTime(st.Grace, st.At))
	}
	line("Standby", "%s", standbyWords(st.Standby))
	j := st.Journal
	line("Journal", "%s", either(j.Entries == 0, "empty", entries(j.Entries)+", the oldest "+span(j.Oldest)+" old"))
	line("Handed over", "%s since the start, %d conflicts; %d parked", entries(j.Handed), j.Conflicts, j.Parked)
	if st.Works.Changes {
		line("Followers", "%s", followerWords(st.Follow))
		line("Outbox", "%s", either(st.Outbox.Oldest == 0, "nothing waits", "the oldest waits "+span(st.Outbox.Oldest)))
	} else { // both are in the database
		line("Followers", "wait for the database")
		line("Outbox", "waits for the database")
	}
	line("Hash queue", "%d waiting%s", st.Hash.Waiting, either(st.Hash.Busy, "; newcomers are asked to wait", ""))
	line("Peers", "%s", count(st.Peers, "other node")+either(st.Peers == 1, " answers", " answer"))
	line("Thrown out", "last told who %s", clockTime(st.Heard, st.At))
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return humanize.Comma(n) + " entries"
}

func tierWords(st *web.Status) string {
	why := ""
	if st.Why != "" {
		why = "  not ready: " + st.Why + unready[st.Why]
	}
	if st.Tier == "" {
		return why
	}
	return fmt.Sprintf("  %s since %s%s", st.Tier, clockTime(st.Since, st.At), why)
}

func signInWords(st *web.Status) string {
	switch {
	case !st.Works.SignIn:
		return "DOES NOT WORK" + either(st.Canary.Cause == "", "", " ("+st.Canary.Cause+")")
	case st.Canary.Standby && st.Tier == "T2":
		return "works, from this node's standby"
	}
	return "works"
}

func canaryWords(st *web.Status) string {
	c := st.Canary
	if c.At.IsZero() {
		return "not heard yet"
	}
	took := time.Duration(c.Took * float64(time.Second)).Round(time.Millisecond)
	if c.Works {
		return fmt.Sprintf("got in %s, in %s%s", clockTime(c.At, st.At), took, either(c.Standby, ", from the standby", ""))
	}
	return fmt.Sprintf("did not get in %s: %s; last got in, or somebody did, %s", clockTime(c.At, st.At), c.Cause, clockTime(c.GoodAt, st.At))
}

func standbyWords(s web.Standby) string {
	switch {
	case !s.Present:
		return "none: while the database is away nobody signs in"
	case !s.Usable:
		return "not usable: " + s.Why
	}
	aside := ""
	if s.Refused > 0 {
		aside = "; " + count(s.Refused, "damaged file") + " set aside at the start, see its log"
	}
	return "usable, " + span(s.Age) + " old" + aside
}

func followerWords(all []web.Lag) string {
	var words []string
	for _, l := range all {
		w := l.Name + " " + span(l.Behind) + " behind"
		if l.Events > 0 {
			w += " (" + humanize.Comma(l.Events) + " events)"
		}
		if l.Parked > 0 {
			w += ", " + humanize.Comma(l.Parked) + " parked"
		}
		words = append(words, w)
	}
	if words == nil {
		return "none has begun"
	}
	return strings.Join(words, "\n"+strings.Repeat(" ", 15))
}

func detailWords(i web.Issue) string {
	if i.Detail == "" {
		return ""
	}
	return " (" + i.Detail + ")"
}

// clockTime is when something was: the time of day and how long ago.
func clockTime(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("15:04:05Z") + ", " + span(now.Sub(t).Seconds()) + " ago"
}

// span is a duration in the two largest units that say something.
func span(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(0, d).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
