package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Drill is one row of the list.
type Drill struct {
	Name    string
	Replays string // the outage
	Fault   string
	Waits   string  // what it waits for; "" when it can be carried out
	Short   bool    // among those that every change is held against
	SignIns float64 // sign-ins a second that can succeed, where they are more than the usual

	run func(context.Context, *stage) error
}

// List is every drill, in the order of DRILLS.md.
func List() []Drill {
	return []Drill{
		{Name: "event-workers-frozen", Replays: "accounting SaaS 27 Jul 2021, 10 h 39: events in the login flow", Short: true,
			Fault: "all workers beside the requests stopped, a backlog of events, then resumed", run: eventWorkersFrozen},
		{Name: "event-sink-blocks", Replays: "Cognito 25 Nov 2020, ~17 h: best-effort event buffer filled and blocked logins",
			Fault: "mail server and web-hook receiver accept and never read", run: eventSinkBlocks},
		{Name: "poison-event", Replays: "Google Cloud 12 Jun 2025: one row crashed every node", Short: true,
			Fault: "events, a policy and a client with nulls, wrong types, 10 MB texts, unknown kinds, a future version", run: poisonEvent},
		{Name: "primary-killed", Replays: "Auth0 2018, Duo 2019: primary lost, clients did not reconnect", Short: true,
			Fault: "kill -9 of the PostgreSQL primary's tree, its synchronous standby promoted, again and again", run: primaryKilled},
		{Name: "primary-gone", Replays: "Cloudflare Access 12 Jun 2025: all identity logins failed with the central store", Short: true,
			Fault: "the primary down for the whole drill", run: primaryGone},
		{Name: "primary-frozen", Replays: "Duo 20 Aug 2018: queue grew on database waits and stopped recovery",
			Fault: "SIGSTOP of the database at 10 × load", SignIns: 15, run: primaryFrozen},
		{Name: "one-node-cut-off", Replays: "the classic partition",
			Fault: "one of two nodes loses the database and then its peer; somebody is disabled, a code is used, guesses go to both", run: oneNodeCutOff},
		{Name: "read-only", Replays: "Okta 19 Jun 2017: read-only maintenance overran", Short: true,
			Fault: "default_transaction_read_only=on", run: readOnly},
		{Name: "disk-full", Replays: "Google 14 Dec 2020: account database shrank to 0 quota",
			Fault: "database on a small tmpfs, filled to the end", run: diskFull},
		{Name: "login-storm", Replays: "Fortnite 2018, Azure MFA 2018: everyone returns at once",
			Fault: "all down, then everybody returns and tries again without waiting", SignIns: 15, run: loginStorm},
		{Name: "key-rotation", Replays: "Azure AD 15 Mar 2021 (14 h), Logto 8 Jan 2026: signing key removed under caches",
			Fault: "rotate under load; retire a key in use", Waits: "token signing keys (issue 5)"},
		{Name: "sms-mail-dead", Replays: "Okta SMS 2017, Twilio 2021",
			Fault: "the mail server hangs, answers 451, accepts and drops (SMS: waits for issue 6)", run: mailDead},
		{Name: "limiter-store-dead", Replays: "Keycloak #47873, Let's Encrypt 13 Oct 2016",
			Fault: "the limiter's table is locked, then the limiter's rows vanish, in a storm of guesses", run: limiterDead},
		{Name: "risk-engine-false-alarm", Replays: "Entra 19 Apr 2025: false \"leaked\" signal locked users en masse",
			Fault: "30 % of accounts flagged in a minute; the engine hangs", Waits: "the risk engine (issue 7)"},
		{Name: "lockout-attack", Replays: "Keycloak CVE-2024-1722 class",
			Fault: "wrong sign-ins on many accounts from 500 addresses while their owners sign in", run: lockoutAttack},
		{Name: "clock-jump", Replays: "USNO 2012, leap second 2017",
			Fault: "clock +1 h, −1 s, −12 years", run: clockJump},
		{Name: "certificate-expired", Replays: "Epic 6 Apr 2021",
			Fault: "short-lived certificates on the public connection expire and are renewed", run: certificateExpired},
		{Name: "upgrade-under-load", Replays: "Heroku 8 Jun 2023, Azure AD 28 Sep 2020",
			Fault: "rolling restart of two nodes from the release before; a binary that crashes at boot", run: upgradeUnderLoad},
		{Name: "worker-frozen-expiry", Replays: "authentik CVE-2025-64708: expiry depended on a backlogged worker", Short: true,
			Fault: "all workers stopped; every expired thing is used", run: workerFrozenExpiry},
		{Name: "xero-day", Replays: "the composite: one hour stands for eleven", Short: true,
			Fault: "workers frozen, mail dead, event followers stale all day; sessions end, passwords change, somebody is disabled; then a controlled return", run: xeroDay},
		{Name: "cold-start", Replays: "everything off, started in random order",
			Fault: "all off; the node starts before its database, while everybody hammers", run: coldStart},
	}
}

// Choose finds the drills of the words of a command line: names, all, or short.
func Choose(words []string) (chosen []Drill, err error) {
	list := List()
	for _, word := range words {
		found := false
		for _, d := range list {
			if d.Name == word || word == "all" && d.Waits == "" || word == "short" && d.Short {
				chosen, found = append(chosen, d), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%q is no drill; there are %s, and the words all and short", word, strings.Join(names(list), ", "))
		}
	}
	return slices.CompactFunc(chosen, func(a, b Drill) bool { return a.Name == b.Name }), nil
}

func names(list []Drill) (all []string) {
	for _, d := range list {
		all = append(all, d.Name)
	}
	return all
}
