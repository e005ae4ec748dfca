package store

// migrations is the one list, oldest first. One text serves both databases:
// {{blob}} and {{serial}} are replaced per dialect. Never edit an entry that has
// been released; add one. Changes expand first and contract a release later, so
// that a node of the release before still works (DESIGN §5).
//
// Rules of the schema: ids and JSON are TEXT, times BIGINT microseconds UTC,
// flags BIGINT 0/1. A row that changes carries version and the node that wrote
// it. A table is spoken to by the one package named above it (layout_test.go).
var migrations = []migration{{1, "the house", `
-- store
CREATE TABLE nodes (
	id          TEXT PRIMARY KEY,
	started_at  BIGINT NOT NULL,
	seen_at     BIGINT NOT NULL, -- also the persisted floor of the clock: no node goes on below it
	program     TEXT NOT NULL
);

-- access
CREATE TABLE organisations (
	id       TEXT PRIMARY KEY,
	name     TEXT NOT NULL,
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE TABLE memberships (
	organisation  TEXT NOT NULL REFERENCES organisations (id),
	account       TEXT NOT NULL,
	role          TEXT NOT NULL,
	made_at       BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL,
	PRIMARY KEY (organisation, account)
);
CREATE INDEX memberships_account ON memberships (account);
CREATE TABLE policies (
	id            TEXT PRIMARY KEY,
	organisation  TEXT, -- NULL: the whole installation
	kind          TEXT NOT NULL,
	value         TEXT NOT NULL,
	made_at       BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL
);

-- clients
CREATE TABLE clients (
	id            TEXT PRIMARY KEY,
	organisation  TEXT, -- NULL: the whole installation
	name          TEXT NOT NULL,
	made_at       BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL
);

-- accounts
CREATE TABLE accounts (
	id                 TEXT PRIMARY KEY,
	email              TEXT NOT NULL,
	email_key          TEXT NOT NULL UNIQUE, -- NFKC, case-folded, trimmed
	email_skeleton     TEXT NOT NULL,        -- UTS #39: what it looks like
	email_verified_at  BIGINT,
	name               TEXT NOT NULL,
	status             TEXT NOT NULL,        -- invited, active, locked, disabled
	epoch              BIGINT NOT NULL,      -- sessions of an earlier epoch are over
	locale             TEXT NOT NULL,
	zone               TEXT NOT NULL,
	home_cell          TEXT NOT NULL,
	made_at            BIGINT NOT NULL,
	version            BIGINT NOT NULL,
	node               TEXT NOT NULL
);
CREATE INDEX accounts_skeleton ON accounts (email_skeleton);
CREATE TABLE links (
	id          TEXT PRIMARY KEY,
	kind        TEXT NOT NULL,        -- invitation, reset, enrol, unlock, address
	account     TEXT NOT NULL,
	email       TEXT NOT NULL,        -- the address it was mailed to; it is good for no other
	token_hash  TEXT NOT NULL UNIQUE, -- SHA-256, hex
	made_at     BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL,
	spent_at    BIGINT,
	spent_by    TEXT,                 -- the attempt or session that spent it
	version     BIGINT NOT NULL,
	node        TEXT NOT NULL
);
CREATE INDEX links_account ON links (account);

-- authenticators
CREATE TABLE passwords (
	account      TEXT PRIMARY KEY,
	id           TEXT NOT NULL,
	hash         TEXT NOT NULL,   -- PHC string, argon2id over the peppered password
	pepper       BIGINT NOT NULL, -- id of the pepper key
	must_change  TEXT NOT NULL,   -- '', or why: compromised
	made_at      BIGINT NOT NULL, -- when the person last chose it
	version      BIGINT NOT NULL,
	node         TEXT NOT NULL
);
CREATE TABLE old_passwords (
	id       TEXT PRIMARY KEY,
	account  TEXT NOT NULL,
	hash     TEXT NOT NULL,
	pepper   BIGINT NOT NULL,
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE INDEX old_passwords_account ON old_passwords (account, made_at);
CREATE TABLE totp (
	id            TEXT PRIMARY KEY,
	account       TEXT NOT NULL,
	name          TEXT NOT NULL,
	secret        {{blob}} NOT NULL, -- sealed for totp/id/secret
	algorithm     TEXT NOT NULL,
	digits        BIGINT NOT NULL,
	period        BIGINT NOT NULL,   -- seconds
	last_step     BIGINT NOT NULL,   -- only a later one is accepted (RFC 6238 §5.2)
	drift         BIGINT NOT NULL,   -- the phone's clock minus ours, in steps
	made_at       BIGINT NOT NULL,
	last_used_at  BIGINT,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL
);
CREATE INDEX totp_account ON totp (account);
CREATE TABLE totp_used (
	authenticator  TEXT NOT NULL,
	step           BIGINT NOT NULL,
	used_by        TEXT NOT NULL, -- attempt or session
	made_at        BIGINT NOT NULL,
	node           TEXT NOT NULL,
	PRIMARY KEY (authenticator, step)
);
CREATE TABLE recovery_sets (
	account  TEXT PRIMARY KEY,
	id       TEXT NOT NULL,
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE TABLE recovery_codes (
	recovery_set  TEXT NOT NULL,
	slot          BIGINT NOT NULL,
	hash          {{blob}} NOT NULL,
	pepper        BIGINT NOT NULL,
	spent_at      BIGINT,
	spent_by      TEXT,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL,
	PRIMARY KEY (recovery_set, slot)
);

-- sessions
CREATE TABLE sessions (
	id              TEXT PRIMARY KEY,
	account         TEXT NOT NULL,
	attempt         TEXT NOT NULL UNIQUE, -- an attempt opens one session, once
	epoch           BIGINT NOT NULL,
	device          TEXT NOT NULL,
	proofs          TEXT NOT NULL,
	seen            {{blob}} NOT NULL, -- sealed: network, browser, place
	made_at         BIGINT NOT NULL,
	last_used_at    BIGINT NOT NULL,
	absolute_until  BIGINT NOT NULL,
	ended_at        BIGINT,
	ended_why       TEXT NOT NULL,
	standby         BIGINT NOT NULL,
	version         BIGINT NOT NULL,
	node            TEXT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account, made_at);
CREATE TABLE revocations (
	kind     TEXT NOT NULL, -- session, account
	subject  TEXT NOT NULL,
	epoch    BIGINT NOT NULL, -- account: the lowest epoch that still counts
	until    BIGINT NOT NULL, -- when every ticket it concerns has run out anyway
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL,
	PRIMARY KEY (kind, subject)
);
CREATE INDEX revocations_made ON revocations (made_at);
CREATE TABLE devices (
	device         TEXT NOT NULL,
	account        TEXT NOT NULL,
	first_seen_at  BIGINT NOT NULL,
	last_seen_at   BIGINT NOT NULL,
	version        BIGINT NOT NULL,
	node           TEXT NOT NULL,
	PRIMARY KEY (device, account)
);

-- limits
CREATE TABLE tries (
	key         TEXT PRIMARY KEY, -- hash of what is limited: tries name nobody
	at          TEXT NOT NULL,    -- microseconds of the tries that still count, oldest first
	expires_at  BIGINT NOT NULL,
	version     BIGINT NOT NULL,
	node        TEXT NOT NULL
);
CREATE INDEX tries_expires ON tries (expires_at);

-- events
CREATE TABLE account_keys (
	account  TEXT PRIMARY KEY,
	sealed   {{blob}} NOT NULL, -- destroying it makes the person's data in events unreadable
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE TABLE events (
	position      {{serial}},     -- assigned on arrival: the order of this log
	id            TEXT NOT NULL UNIQUE,
	kind          TEXT NOT NULL,
	kind_version  BIGINT NOT NULL,
	organisation  TEXT,
	account       TEXT,           -- whom it concerns
	actor         TEXT NOT NULL,  -- who did it: an account id, "operator", "system" or "nobody"
	session       TEXT,
	attempt       TEXT,
	made_at       BIGINT NOT NULL,
	standby       BIGINT NOT NULL,
	data          TEXT NOT NULL,  -- JSON: codes, never sentences, never personal
	personal      {{blob}},       -- JSON sealed under the account's key
	node          TEXT NOT NULL,
	node_seq      BIGINT NOT NULL
);
CREATE INDEX events_account ON events (account, position);

-- outbox
CREATE TABLE outbox (
	id          TEXT PRIMARY KEY, -- the idempotency key of the effect
	kind        TEXT NOT NULL,
	account     TEXT,
	payload     {{blob}} NOT NULL, -- sealed: addresses and links
	made_at     BIGINT NOT NULL,
	due_at      BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL,
	tries       BIGINT NOT NULL,
	sent_at     BIGINT,
	given_up    BIGINT NOT NULL,
	last_error  TEXT NOT NULL,
	version     BIGINT NOT NULL,
	node        TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at);
`}, {2, "what strangers can fill is not searched through", `
-- accounts
CREATE INDEX links_unspent ON links (account, kind) WHERE spent_at IS NULL;

-- sessions
CREATE INDEX devices_account ON devices (account);

-- outbox
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (due_at) WHERE sent_at IS NULL AND given_up = 0;
CREATE INDEX outbox_made ON outbox (made_at);
`}, {3, "a log with readers, and a standby", `
-- store
CREATE TABLE changes ( -- the change feed: which rows were written, never what
	seq  {{serial}},
	xid  BIGINT NOT NULL, -- PostgreSQL's transaction; 0 in SQLite, where seq is the order of commits
	tbl  TEXT NOT NULL,
	key  TEXT NOT NULL    -- JSON list of the row's primary key
);
CREATE INDEX changes_xid ON changes (xid);
CREATE TABLE feed ( -- one row: which history this database holds
	id           BIGINT PRIMARY KEY,
	incarnation  TEXT NOT NULL, -- made anew when the database turns out to be another one (a restore)
	system       TEXT NOT NULL, -- PostgreSQL: system identifier and timeline
	complete_from  BIGINT NOT NULL, -- the lowest place from which changes are still kept
	made_at      BIGINT NOT NULL
);
CREATE TABLE handed ( -- journal entries of standbys that have been applied here: once each
	entry      TEXT PRIMARY KEY,
	from_node  TEXT NOT NULL,
	made_at    BIGINT NOT NULL,
	handed_at  BIGINT NOT NULL,
	rows_in    BIGINT NOT NULL,
	conflicts  BIGINT NOT NULL
);
ALTER TABLE nodes ADD COLUMN place BIGINT NOT NULL DEFAULT 0; -- of this node's standby in changes
CREATE TABLE pulses ( -- a write that proves the database takes writes
	node  TEXT PRIMARY KEY,
	at    BIGINT NOT NULL
);

-- rejoin
CREATE TABLE conflicts ( -- what a hand-over found that should not have happened, and what was done
	id       TEXT PRIMARY KEY,
	entry    TEXT NOT NULL,
	tbl      TEXT NOT NULL,
	key      TEXT NOT NULL,
	rule     TEXT NOT NULL,
	account  TEXT NOT NULL,
	detail   TEXT NOT NULL, -- JSON: codes only
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE INDEX conflicts_made ON conflicts (made_at);

-- events
ALTER TABLE events ADD COLUMN xid BIGINT NOT NULL DEFAULT {{xid}};
CREATE INDEX events_xid ON events (xid);
CREATE TABLE places ( -- how far each follower of the log has read
	name         TEXT PRIMARY KEY,
	low          TEXT NOT NULL,   -- PostgreSQL: a snapshot whose transactions have all been read …
	high         TEXT NOT NULL,   -- … and of those that this one has besides, everything up to position
	position     BIGINT NOT NULL, -- SQLite: everything up to here has been read
	incarnation  TEXT NOT NULL,
	token        BIGINT NOT NULL, -- fencing: it grows with every new holder, and only its holder moves the place
	holder       TEXT NOT NULL,
	lease_until  BIGINT NOT NULL, -- on the database's clock
	moved_at     BIGINT NOT NULL,
	version      BIGINT NOT NULL,
	node         TEXT NOT NULL
);
CREATE TABLE parked ( -- events a follower could not handle, and those that must wait behind them
	follower  TEXT NOT NULL,
	event     TEXT NOT NULL,
	position  BIGINT NOT NULL,
	lane      TEXT NOT NULL, -- what must stay in order: an account, or the event itself
	why       TEXT NOT NULL,
	tries     BIGINT NOT NULL,
	next_at   BIGINT NOT NULL,
	made_at   BIGINT NOT NULL,
	version   BIGINT NOT NULL,
	node      TEXT NOT NULL,
	PRIMARY KEY (follower, event)
);
CREATE INDEX parked_lane ON parked (follower, lane, position);
CREATE INDEX parked_due ON parked (follower, next_at);

-- outbox
ALTER TABLE outbox ADD COLUMN channel TEXT NOT NULL DEFAULT 'mail'; -- mail, hook
ALTER TABLE outbox ADD COLUMN lane TEXT NOT NULL DEFAULT '';        -- keyed hash of the recipient, or the receiver's id: one effect of a lane at a time
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (channel, due_at) WHERE sent_at IS NULL AND given_up = 0;
ALTER TABLE outbox ADD COLUMN taken BIGINT NOT NULL DEFAULT 0; -- until when a node is at it, on the database's clock; 0 = none is
CREATE INDEX outbox_lane ON outbox (channel, lane, made_at) WHERE sent_at IS NULL AND given_up = 0;
CREATE INDEX outbox_taken ON outbox (channel, taken) WHERE taken > 0;
CREATE TABLE takings ( -- whoever takes messages of a channel locks its row meanwhile
	channel  TEXT PRIMARY KEY,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);

-- hooks
CREATE TABLE hooks ( -- receivers of web-hooks
	id            TEXT PRIMARY KEY,
	organisation  TEXT, -- NULL: the whole installation
	name          TEXT NOT NULL,
	url           TEXT NOT NULL,
	secrets       {{blob}} NOT NULL, -- sealed for hooks/id/secrets: JSON list, newest first
	kinds         TEXT NOT NULL,     -- JSON list of event kinds or prefixes ending in *
	state         TEXT NOT NULL,     -- on, off
	made_at       BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL
);

-- flow
CREATE TABLE canaries ( -- the last sign-in of each node's canary: it proves the write a person's would make
	canary   TEXT PRIMARY KEY, -- the node it belongs to
	account  TEXT NOT NULL,
	attempt  TEXT NOT NULL,
	secret   {{blob}} NOT NULL, -- sealed for canaries/canary/secret: what it shows
	at       BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);

-- what the standby holds, one line a table (feedline.go)
{{feed nodes id}}
{{feed organisations id}}
{{feed memberships organisation,account}}
{{feed policies id}}
{{feed clients id}}
{{feed accounts id}}
{{feed links id}}
{{feed passwords account}}
{{feed totp id}}
{{feed totp_used authenticator,step}}
{{feed recovery_sets account}}
{{feed recovery_codes recovery_set,slot}}
{{feed sessions id of epoch,proofs,absolute_until,ended_at,ended_why,version}}
{{feed revocations kind,subject}}
{{feed devices device,account of version}}
{{feed tries key}}
{{feed account_keys account}}
{{feed canaries canary}}
`}, {4, "every authenticator people have", `
-- authenticators
CREATE TABLE credentials ( -- every second authenticator but apps: passkeys, push devices, counter tokens, phones, remembered browsers
	id            TEXT PRIMARY KEY,
	account       TEXT NOT NULL,
	kind          TEXT NOT NULL,     -- passkey, push, hotp, phone, remembered
	name          TEXT NOT NULL,
	handle        TEXT UNIQUE,       -- what is shown to find it, unique over all kinds: "passkey:<credential id>"; NULL: found by account
	public        TEXT NOT NULL,     -- JSON by kind: nothing secret
	secret        {{blob}},          -- sealed for credentials/id/secret; NULL: it has none
	counter       BIGINT NOT NULL,   -- passkey: the highest signature counter seen; hotp: the next counter expected
	state         TEXT NOT NULL,     -- '', or why it opens nothing: waiting, cloned, gone, lost
	usable_at     BIGINT NOT NULL,   -- opens nothing before; 0: at once
	expires_at    BIGINT NOT NULL,   -- opens nothing from then on; 0: never
	made_at       BIGINT NOT NULL,
	last_used_at  BIGINT,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL
);
CREATE INDEX credentials_account ON credentials (account);
ALTER TABLE totp ADD COLUMN token TEXT NOT NULL DEFAULT ''; -- the hardware token it is, by id; '' is an app
CREATE TABLE phone_codes ( -- codes sent by text message or read out by a call
	id          TEXT PRIMARY KEY,
	account     TEXT NOT NULL,
	credential  TEXT NOT NULL,     -- the number it goes to
	attempt     TEXT NOT NULL,     -- the attempt or session that asked for it; it opens no other
	way         TEXT NOT NULL,     -- sms, voice
	hash        {{blob}} NOT NULL, -- keyed; the code itself is nowhere but in the sealed outbox row
	pepper      BIGINT NOT NULL,
	made_at     BIGINT NOT NULL,
	handed_at   BIGINT,            -- when a provider took it: its life starts here
	expires_at  BIGINT NOT NULL,   -- the latest end whatever happens
	failed      TEXT NOT NULL,     -- why it will never arrive; '' as long as it may
	used_by     TEXT NOT NULL,     -- '' while it opens
	used_at     BIGINT,
	version     BIGINT NOT NULL,
	node        TEXT NOT NULL
);
CREATE INDEX phone_codes_account ON phone_codes (account, made_at);
CREATE INDEX phone_codes_expires ON phone_codes (expires_at);
CREATE TABLE approvals ( -- questions to Gatehouse Verify
	id           TEXT PRIMARY KEY,
	account      TEXT NOT NULL,
	kind         TEXT NOT NULL,     -- signin, fresh, action
	attempt      TEXT NOT NULL,     -- the attempt it belongs to, or the relying party's own id of an action
	context      {{blob}} NOT NULL, -- sealed for approvals/id/context: what the person is shown, as it is shown, and the two digits
	state        TEXT NOT NULL,     -- open, approved, denied, wrong, reported, expired
	made_at      BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	answered_at  BIGINT,
	credential   TEXT NOT NULL,     -- the device that answered; ''
	signature    TEXT NOT NULL,     -- JSON: what the device signed, with which key, and the signature; ''
	used_by      TEXT NOT NULL,     -- '' while it opens
	used_at      BIGINT,
	version      BIGINT NOT NULL,
	node         TEXT NOT NULL
);
CREATE INDEX approvals_account ON approvals (account, made_at);
CREATE INDEX approvals_attempt ON approvals (attempt);
CREATE INDEX approvals_made ON approvals (made_at);
CREATE UNIQUE INDEX approvals_open ON approvals (account) WHERE state = 'open';
CREATE TABLE moves ( -- somebody changes to another app or phone and has not finished
	account  TEXT PRIMARY KEY,
	why      TEXT NOT NULL,     -- switch, phone, lost
	leaving  TEXT NOT NULL,     -- JSON: ids of the second authenticators that go
	secret   {{blob}},          -- sealed for moves/account/secret: of the app offered; NULL once it is set up
	made_at  BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE TABLE mutes ( -- nobody is asked by push until then: they reported a question that was not theirs
	account  TEXT PRIMARY KEY,
	until    BIGINT NOT NULL,
	version  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE TABLE pairings ( -- devices with Gatehouse Verify that have scanned a picture and wait for their owner's code
	id          TEXT PRIMARY KEY,
	account     TEXT NOT NULL,
	device      {{blob}} NOT NULL, -- sealed for pairings/id/device: its name, public key and push subscription
	expires_at  BIGINT NOT NULL,
	version     BIGINT NOT NULL,
	node        TEXT NOT NULL
);
CREATE INDEX pairings_expires ON pairings (expires_at);

-- tokens
CREATE TABLE tokens ( -- stock of hardware code tokens
	id            TEXT PRIMARY KEY,
	manufacturer  TEXT NOT NULL,
	serial        TEXT NOT NULL,
	kind          TEXT NOT NULL,     -- totp, hotp
	secret        {{blob}} NOT NULL, -- sealed for tokens/id/secret
	algorithm     TEXT NOT NULL,
	digits        BIGINT NOT NULL,
	period        BIGINT NOT NULL,   -- seconds; 0 for hotp
	counter       BIGINT NOT NULL,   -- the first counter (hotp) or step (totp) that was never used
	state         TEXT NOT NULL,     -- stock, assigned, active, lost, returned, retired
	account       TEXT NOT NULL,     -- whom it is assigned to; ''
	organisation  TEXT,              -- whose stock it is; NULL: the installation's
	made_at       BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	node          TEXT NOT NULL,
	UNIQUE (manufacturer, serial)
);
CREATE INDEX tokens_account ON tokens (account);
CREATE TABLE token_history (
	id       TEXT PRIMARY KEY,
	token    TEXT NOT NULL,
	step     BIGINT NOT NULL,        -- how many came before it
	what     TEXT NOT NULL,          -- imported, renewed, removed, assigned, activated, resynchronised, lost, found, returned, retired
	account  TEXT NOT NULL,
	actor    TEXT NOT NULL,
	reason   TEXT NOT NULL,
	made_at  BIGINT NOT NULL,
	node     TEXT NOT NULL
);
CREATE INDEX token_history_token ON token_history (token, step);

-- what the standby holds more
{{feed credentials id}}
{{feed mutes account}}
`}}

type migration struct {
	version int64
	name    string
	sql     string
}
