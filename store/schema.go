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
`}}

type migration struct {
	version int64
	name    string
	sql     string
}
