package main

import (
	"net/netip"
	"time"
)

// Settings is every setting there is. A field is one setting; its tags say the
// rest, and the loader, the checks, the flags, docs/configuration.md and
// deploy/gatehouse.example.yaml are all made from them:
//
//	key      its place in the file; a dot is one level of indentation.
//	         The variable is GATEHOUSE_ + the key in capitals, dots as _
//	flag     it can also be given to serve as a flag, --key with - for . and _
//	default  what it is when nobody says anything
//	range    smallest..largest, both allowed
//	oneof    the words that are allowed
//	kind     what the text must look like (see kinds in config_values.go)
//	must     it has no default and cannot be left out
//	example  what the example file shows when there is no default
//	section  heads a group in the documents, from this field on
//	why      one line: what it decides, and the reason for the default
//
// A flag beats the environment, the environment beats the file. Secrets are
// never settings: a setting whose key ends in _file names the file that holds one.
// Relative paths in the file are relative to the folder of that file.
type Settings struct {
	Origin  string `section:"The installation" key:"origin" flag:"" kind:"origin" must:"" example:"https://login.example.com" why:"The public address that people type. Links in mails are built from it and nothing else, and requests for another host are refused."`
	Product string `key:"product" default:"Gatehouse" range:"1..40" why:"The name of this service in mails and in people's authenticator app. A password made of it is refused."`
	DataDir string `key:"data_dir" flag:"" kind:"dir" default:"/var/lib/gatehouse" why:"Where this node keeps what is its own: its name, its clock floor and, without another database, SQLite."`
	KeysDir string `key:"keys_dir" flag:"" kind:"dir" default:"/etc/gatehouse/keys" why:"The key folder made by gatehouse keys init. Keep it, and its backup, apart from the data: one is worthless without the other."`

	Listen     string         `section:"Who may connect" key:"listen" flag:"" kind:"address" default:"127.0.0.1:8080" why:"Where people are served. With TLS files :443 is usual; behind a proxy on this machine stay on loopback."`
	Management string         `key:"management.listen" flag:"" kind:"address" default:"127.0.0.1:9090" why:"Where machines look: /livez, /readyz, /startupz, /metrics, /statusz. It asks for no password, so keep it off the public network."`
	TLSCert    string         `key:"tls.cert_file" kind:"file" why:"The certificate chain (PEM). A changed file is taken up within ten seconds; a broken one is logged and the old one stays."`
	TLSKey     string         `key:"tls.key_file" kind:"secretfile" why:"The certificate's private key (PEM)."`
	Proxies    []netip.Prefix `key:"trusted_proxies" flag:"" kind:"networks" example:"[127.0.0.1/32]" why:"The proxies whose X-Forwarded-For counts. Everybody else's is ignored. Without TLS files nobody but these may connect."`

	DSN        string        `section:"Database" key:"database.dsn" flag:"" kind:"dsn" why:"sqlite:/path/file.db or postgres://user@host1,host2/name. Empty means SQLite in data_dir. A DSN with a password belongs in database.dsn_file."`
	DSNFile    string        `key:"database.dsn_file" kind:"secretfile" why:"A file that holds the DSN, for one that contains a password."`
	Foreground int           `key:"database.foreground" default:"16" range:"1..1000" why:"Connections for people who wait. SQLite has one writer whatever this says."`
	Background int           `key:"database.background" default:"4" range:"1..100" why:"Connections for mail and upkeep: a pool of their own, so that they never make a person wait."`
	Deadline   time.Duration `key:"database.deadline" default:"5s" range:"200ms..30s" why:"How long one database step may take, retries included, before people are told that we cannot check right now."`

	StandbyOff         bool          `section:"Standby" key:"standby.off" default:"false" why:"Do without a standby: then nobody signs in while the database is away."`
	StandbyDir         string        `key:"standby.dir" kind:"dir" why:"Where this node keeps its own copy of what signing in needs, and the journal of what was done on it. Empty: standby in data_dir with PostgreSQL, none with SQLite, where it belongs on another disk."`
	StandbyWait        time.Duration `key:"standby.wait" default:"700ms" range:"100ms..5s" why:"How long a sign-in waits for the database before it goes on from the standby."`
	StandbyMaxAge      time.Duration `key:"standby.max_age" default:"24h" range:"1m..168h" why:"How long after its last contact with the database a standby still signs people in. Whoever was thrown out since is not known to it."`
	StandbyMaxAgeAdmin time.Duration `key:"standby.max_age_admin" default:"1h" range:"1m..168h" why:"The same for owners and security admins, who can do more harm: on an older standby they are asked to wait for the database."`

	PeersListen string        `section:"Several nodes" key:"peers.listen" kind:"address" example:"10.0.0.1:9443" why:"Where the other nodes of this installation reach this one, over mutual TLS with keys made from keys_dir. Open it to them and nobody else. Empty: this node answers no other."`
	PeersNodes  []string      `key:"peers.nodes" kind:"node" example:"[10.0.0.1:9443, 10.0.0.2:9443]" why:"Where the other nodes listen for this one. It may name this node too, so that the same file is right everywhere. With them a node that is cut off from the database goes through another."`
	PeersWait   time.Duration `key:"peers.wait" default:"50ms" range:"10ms..250ms" why:"How long peers have, all together, to answer or to lend a way. One that is slower counts as away, and a person waits this long."`
	PeersLend   int           `key:"peers.lend" default:"64" range:"1..1000" why:"How many connections to the database this node carries for others at once. Each node that is cut off wants as many as database.foreground and database.background together."`

	HashMemory   int    `section:"Passwords" key:"passwords.memory_kib" default:"65536" range:"8192..1048576" why:"Argon2id memory for one hash, in KiB. Raising it re-hashes each password at its next sign-in."`
	HashTime     int    `key:"passwords.time" default:"3" range:"1..16" why:"Argon2id passes over that memory."`
	HashThreads  int    `key:"passwords.threads" default:"1" range:"1..8" why:"Argon2id lanes. One keeps a busy server fair: cores are shared by people, not by lanes."`
	HashesAtOnce int    `key:"passwords.hashes_at_once" default:"0" range:"0..256" why:"How many hashes run at the same time; 0 means one for each core. Each takes passwords.memory_kib."`
	Policy       string `key:"passwords.policy" default:"modern" oneof:"modern,pci,legacy" why:"What a new password must be. modern: long enough, not known from breaches, nothing personal. pci: at least 12 with letters and digits, the last 4 not again. legacy: character classes and expiry, which NIST 800-63B-4 and ASVS 5 forbid."`
	ExpireDays   int    `key:"passwords.expire_days" default:"90" range:"1..3650" why:"Days until a password must be changed. Only the legacy policy looks at it."`
	Breached     string `key:"passwords.breached_file" kind:"file" why:"A filter of breached passwords made by gatehouse breached build. Empty means the small one inside the program."`
	Pwned        bool   `key:"passwords.online_check" default:"false" why:"Also ask a k-anonymity service about new passwords. It sees 5 of 40 characters of a SHA-1, and after 300 ms we go on without its answer."`
	PwnedURL     string `key:"passwords.online_check_url" kind:"https" default:"https://api.pwnedpasswords.com/range/" why:"The service asked when passwords.online_check is on."`

	PasskeyDomain      string   `section:"Passkeys" key:"passkeys.domain" kind:"host" example:"example.com" why:"The domain passkeys are bound to (the WebAuthn RP ID): the host of the origin, or a domain above it. Empty is the host. Who changes it makes every passkey useless, so choose before the first one."`
	PasskeyOrigins     []string `key:"passkeys.related_origins" kind:"origin" example:"[https://login.example.org]" why:"Other origins whose pages may use the same passkeys. They are told to browsers at /.well-known/webauthn, and browsers follow at most five different names."`
	PasskeyAttestation string   `key:"passkeys.attestation" default:"none" oneof:"none,asked,required" why:"Whether the maker of a passkey has to vouch for it. none: any will do. asked: noted where there is a proof. required: nothing else is taken; passkeys synced by a phone or a browser have none."`
	PasskeyModels      []string `key:"passkeys.models" why:"With passkeys.attestation: required, the models that are taken, each by its AAGUID, such as ee882879-721c-4913-9775-3dfcce97072a. Empty: every model the metadata knows."`
	PasskeyMDS         string   `key:"passkeys.mds_file" kind:"file" why:"The metadata of the FIDO Alliance (the MDS3 BLOB from mds3.fidoalliance.org) by which makers are known. Read at the start; fetch a new one every month."`

	AppsHash   string        `section:"Authenticator apps" key:"apps.algorithm" default:"SHA1" oneof:"SHA1,SHA256,SHA512" why:"The hash that new authenticator apps make codes with. Google Authenticator and some others ignore anything but SHA1 and show wrong codes, and HMAC-SHA-1 is not weak for this."`
	AppsDigits int           `key:"apps.digits" default:"6" range:"6..8" why:"Digits of a code of new apps. The same apps know only 6. Those that are set up already keep what they have."`
	AppsPeriod time.Duration `key:"apps.period" default:"30s" range:"15s..120s" why:"How long a code of a new app is shown. The same apps know only 30s."`

	Idle     time.Duration `section:"Sessions" key:"sessions.idle" default:"30m" range:"5m..24h" why:"A session nobody uses ends after this. Shorter protects shared computers, longer spares people who read."`
	Absolute time.Duration `key:"sessions.absolute" default:"12h" range:"15m..30d" why:"A session ends after this whatever happens: one working day."`
	Warn     time.Duration `key:"sessions.warn" default:"2m" range:"30s..30m" why:"How long before idling out the page says so and offers to stay. WCAG 2.2.1 asks for at least 20 s."`
	Grace    time.Duration `key:"sessions.grace" default:"60m" range:"0s..60m" why:"While nobody can sign in, sessions are let past their idle end by at most this, so that an outage throws nobody out. Never past sessions.absolute, and never people who look after others. 0s: not at all."`
	Blind    time.Duration `key:"sessions.blind" default:"4h" range:"5m..168h" why:"How long a node that hears neither from its database nor from its standby who was thrown out goes on answering session checks. Then it says that it cannot check."`
	Fresh    time.Duration `key:"sessions.fresh" default:"5m" range:"1m..5m" why:"How old a full proof may be for a change of password, authenticator, address or recovery codes."`

	NameTries    int           `section:"Limits on guessing" key:"limits.name_tries" default:"5" range:"3..100" why:"Tries for one name, in all its spellings, within limits.name_window. A device the person used before has as many of its own."`
	NameWindow   time.Duration `key:"limits.name_window" default:"15m" range:"1m..24h" why:"The window for limits.name_tries."`
	NetworkTries int           `key:"limits.network_tries" default:"100" range:"5..100000" why:"Tries from one IPv4 address or IPv6 /64 within limits.network_window. An office shares one."`
	NetworkTime  time.Duration `key:"limits.network_window" default:"15m" range:"1m..24h" why:"The window for limits.network_tries."`
	GlobalRate   int           `key:"limits.global_rate" default:"200" range:"1..100000" why:"Sign-in steps a second of everybody on this node. More are told that we are busy, and lose no try."`
	NetworkRate  int           `key:"limits.network_rate" default:"20" range:"1..100000" why:"Sign-in steps a second from one network, so that none alone uses up limits.global_rate. An office shares one. More are told that we are busy, and lose no try."`
	Inside       int           `key:"limits.inside" default:"128" range:"8..10000" why:"Sign-in steps on this node at the same time, those that wait for a core included. More are told at once that we are busy, and lose no try."`
	Mails        int           `key:"limits.mails" default:"3" range:"1..100" why:"Mailed links of one kind for one address in half an hour, as long as one opens, so that nobody's mailbox is flooded."`
	NetworkMails int           `key:"limits.network_mails" default:"20" range:"1..10000" why:"Mailed links asked for from one network in an hour."`

	MailHost     string `section:"Mail" key:"mail.host" kind:"host" example:"smtp.example.com" why:"The SMTP server that takes our mail."`
	MailPort     int    `key:"mail.port" default:"587" range:"1..65535" why:"587 with starttls, 465 with tls."`
	MailTLS      string `key:"mail.tls" default:"starttls" oneof:"starttls,tls,none" why:"How the way to the mail server is protected. Mails carry links that let people in, so none is only for this machine."`
	MailUser     string `key:"mail.user" why:"The name to sign in to the mail server with, if it asks."`
	MailPassword string `key:"mail.password_file" kind:"secretfile" why:"A file that holds the mail server's password."`
	MailFrom     string `key:"mail.from" kind:"mailbox" example:"Gatehouse <login@example.com>" why:"The sender people see. Use your own domain, or it looks like phishing."`
	MailFolder   string `key:"mail.folder" kind:"dir" why:"Instead of sending, write mails to this folder. For trying things out: whoever can read it can sign in as anybody."`

	TextKind       string   `section:"Text messages and calls" key:"text.kind" oneof:"twilio,hook" why:"Who carries codes by text message and call, the weakest way to sign in. twilio: anybody who speaks Twilio’s REST interface. hook: a program of your own, called with signed JSON (docs/phones.md). Empty: none are sent. A policy must accept sms or voice besides."`
	TextURL        string   `key:"text.url" kind:"http" why:"hook: where your program is called. twilio: empty means https://api.twilio.com."`
	TextAccount    string   `key:"text.account" why:"twilio: the account, AC and 32 letters."`
	TextSecret     string   `key:"text.secret_file" kind:"secretfile" why:"A file that holds the auth token (twilio), or the secret that calls are signed with, whsec_ and base64 (hook)."`
	TextFrom       string   `key:"text.from" why:"twilio: the number that messages come from, or a messaging service (MG and 32 letters)."`
	TextCaller     string   `key:"text.caller" why:"twilio: the number that calls. Empty: text.from."`
	Text2Kind      string   `key:"text.second_kind" oneof:"twilio,hook" why:"The same, used when the first fails. Empty: none."`
	Text2URL       string   `key:"text.second_url" kind:"http" why:"As text.url."`
	Text2Account   string   `key:"text.second_account" why:"As text.account."`
	Text2Secret    string   `key:"text.second_secret_file" kind:"secretfile" why:"As text.secret_file."`
	Text2From      string   `key:"text.second_from" why:"As text.from."`
	Text2Caller    string   `key:"text.second_caller" why:"As text.caller."`
	TextCountries  []string `key:"text.countries" kind:"country" example:"[PT, ES]" why:"The countries whose numbers may be kept and are sent codes, by their two letters (ISO 3166-1). All others are refused: there are numbers that earn money by being called."`
	TextHome       string   `key:"text.home" kind:"country" example:"PT" why:"The country whose numbers people may type without its prefix. Empty: they always type it."`
	TextVoIP       bool     `key:"text.voip" default:"false" why:"Take numbers of Internet telephony too. They are easy to have in masses. Premium and shared-cost numbers are never taken."`
	TextPerson     int      `key:"text.person" default:"3" range:"1..20" why:"Codes for one person, or to one number, in ten minutes."`
	TextPersonDay  int      `key:"text.person_day" default:"10" range:"1..100" why:"The same in a day."`
	TextNetwork    int      `key:"text.network" default:"20" range:"1..10000" why:"Codes asked for from one network in an hour. An office shares one."`
	TextCountry    int      `key:"text.country" default:"60" range:"1..100000" why:"Codes to all numbers of one country in an hour. When it is used up somebody should look why."`
	TextCountryDay int      `key:"text.country_day" default:"300" range:"1..1000000" why:"The same in a day."`
	TextDay        int      `key:"text.day" default:"1000" range:"1..10000000" why:"Codes in a day, all together: what you are willing to pay for."`

	HooksAllowed []netip.Prefix `section:"Web-hooks and export" key:"hooks.allowed_networks" kind:"networks" example:"[10.20.0.0/16]" why:"Networks of your own that web-hooks may lead into, also with http://. All others that are not the public Internet are refused, so that nobody makes Gatehouse speak to what stands behind it."`
	PushSubject  string         `key:"push.subject" kind:"contact" example:"mailto:security@example.com" why:"Where a push service reaches whoever runs this, when it has a reason to complain: mailto: or https:. Apple's refuses what is not real. Empty: security.contact, or else security@ the origin's host."`
	PushHosts    []string       `key:"push.hosts" kind:"host" example:"[fcm.googleapis.com, updates.push.services.mozilla.com, web.push.apple.com]" why:"The only push services that are spoken to, by host. A browser names its own, so an empty list means any on the public Internet. Phones whose service is not listed are asked while the app is open."`
	PushAllowed  []netip.Prefix `key:"push.allowed_networks" kind:"networks" example:"[10.30.0.0/16]" why:"Networks of your own where a push service may stand, also with http://. All others that are not the public Internet are refused."`
	ExportFolder string         `key:"export.folder" kind:"dir" why:"Append every event as a line of JSON to events-DATE.jsonl in this folder. Set it on one node, or let all name one shared folder. Empty: no files."`
	ExportNATS   string         `key:"export.nats_url" kind:"nats" example:"tls://nats.example.com:4222" why:"Publish every event to a stream of NATS JetStream here; several servers of a cluster are separated by commas. Empty: no stream."`
	ExportStream string         `key:"export.nats_stream" default:"GATEHOUSE" kind:"stream" why:"The stream's name. It is made when it is not there."`
	ExportTopic  string         `key:"export.nats_subject" default:"gatehouse.events" kind:"subject" why:"An event goes to this subject, a dot, and its kind."`
	ExportUser   string         `key:"export.nats_user" why:"The name to sign in to NATS with, if it asks for one and a password."`
	ExportSecret string         `key:"export.nats_password_file" kind:"secretfile" why:"A file that holds the password of export.nats_user."`
	ExportCreds  string         `key:"export.nats_creds_file" kind:"secretfile" why:"A .creds file for NATS, as nsc makes them, in place of a name and a password."`
	ExportAll    bool           `key:"export.personal" default:"false" why:"Let addresses, networks and devices go along with exported events. What has left cannot be erased with the person."`

	Places   string `section:"Odds and ends" key:"places_file" kind:"file" why:"A city database in MMDB format (GeoLite2, DB-IP …) to say where a sign-in came from. Empty: no places are named."`
	Security string `key:"security.contact" kind:"contact" example:"mailto:security@example.com" why:"Where people report a weakness: mailto: or https:. Shown in /.well-known/security.txt (RFC 9116)."`

	CanaryEvery time.Duration `key:"canary.every" default:"5s" range:"1s..1m" why:"How often a node signs itself in, to know whether people can. It costs one hash each time; /readyz, grace and the alarms rest on it."`

	LogLevel  string `key:"log.level" flag:"" default:"info" oneof:"debug,info,warn,error" why:"How much is logged. No level logs passwords, codes, tokens or links."`
	LogFormat string `key:"log.format" flag:"" default:"json" oneof:"json,text" why:"json for machines, text for people."`
}
