package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"gatehouse/authenticators"
	"gatehouse/seal"
)

// crossCheck finds settings that are fine alone and wrong together.
func (l *Loaded) crossCheck() {
	for _, s := range settings() {
		if _, written := l.From[s.key]; s.must && !written {
			l.wrong(s.key, "%s is not set, and nobody can guess it; add %s: %s", s.key, s.key, s.example)
		}
	}
	l.checkListeners()
	l.checkDatabase()
	l.checkPasswords()
	l.checkPasskeys()
	l.checkSessions()
	l.checkMail()
	l.checkTexts()
	l.checkExport()
	l.checkPeers()
}

func (l *Loaded) checkListeners() {
	if (l.TLSCert == "") != (l.TLSKey == "") {
		l.wrong(either(l.TLSCert == "", "tls.key_file", "tls.cert_file"), "tls.cert_file and tls.key_file belong together; set both or neither")
	}
	if overlap(l.Listen, l.Management) {
		l.wrong("management.listen", "management.listen (%s) and listen (%s) are the same place; give the management its own port", l.Management, l.Listen)
	}
	if isWildcard(l.Management) {
		l.warn("management.listen", "the management listener answers everybody who can reach %s; a private address is safer", l.Management)
	}
	if !l.hasTLS() {
		l.checkPlain()
	}
}

func (l *Loaded) hasTLS() bool { return l.TLSCert != "" && l.TLSKey != "" }

// checkPlain allows plain HTTP in two cases: on loopback for trying things out,
// and behind listed proxies.
func (l *Loaded) checkPlain() {
	host, _, _ := cutPort(l.Listen)
	switch {
	case strings.HasPrefix(l.Origin, "http://") && !isLocal(host):
		l.wrong("listen", "origin is http://, so listen must be a loopback address such as 127.0.0.1:8080")
	case strings.HasPrefix(l.Origin, "https://") && len(l.Proxies) == 0 && !l.broken["trusted_proxies"]:
		l.wrong("listen", "people come with https:// and nothing here answers it; set tls.cert_file and tls.key_file, or list the proxy that does it under trusted_proxies")
	}
}

func isWildcard(address string) bool {
	host, _, _ := cutPort(address)
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func overlap(a, b string) bool {
	hostA, portA, okA := cutPort(a)
	hostB, portB, okB := cutPort(b)
	if !okA || !okB || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isWildcard(a) || isWildcard(b) || isLocal(hostA) && isLocal(hostB)
}

func (l *Loaded) checkDatabase() {
	if l.DSN != "" && l.DSNFile != "" {
		l.wrong("database.dsn_file", "database.dsn and database.dsn_file are both set; keep one")
	}
	if u, err := url.Parse(l.DSN); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			l.warn("database.dsn", "the DSN holds a password in the open; write it to a file of mode 600 and name that under database.dsn_file")
		}
	}
}

func (l *Loaded) checkPasswords() {
	if l.Policy == "legacy" {
		l.warn("passwords.policy", "the legacy policy is here because many guides still ask for it; NIST SP 800-63B-4 §3.1.1.2 and OWASP ASVS 5 (V6.2) forbid character classes and expiry, as they make people choose weaker passwords; modern is better")
	} else if l.ExpireDays != authenticators.DefaultLegacyDays {
		l.wrong("passwords.expire_days", "passwords.expire_days works only with passwords.policy: legacy; take the line out")
	}
	if l.HashMemory < 19456 && l.HashTime < 2 || l.HashMemory*l.HashTime < 19456*2 {
		l.warn("passwords.memory_kib", "%d KiB × %d is below what OWASP asks for (19456 KiB × 2); a stolen table would be cheaper to guess", l.HashMemory, l.HashTime)
	}
}

func (l *Loaded) checkSessions() {
	if l.Idle > l.Absolute {
		l.wrong("sessions.idle", "sessions.idle (%s) is longer than sessions.absolute (%s), so it would never happen; lower it", show(l.Idle), show(l.Absolute))
	}
	if l.Warn >= l.Idle {
		l.wrong("sessions.warn", "sessions.warn (%s) must be shorter than sessions.idle (%s)", show(l.Warn), show(l.Idle))
	}
}

func (l *Loaded) checkMail() {
	switch {
	case l.MailHost == "" && l.MailFolder == "":
		l.wrong("mail.host", "mail.host is not set, and people are invited and find their way back by mail; name an SMTP server, or for trying things out a mail.folder")
	case l.MailHost != "" && l.MailFolder != "":
		l.wrong("mail.folder", "mail.host and mail.folder are both set; keep one")
	case l.MailHost != "" && l.MailFrom == "" && !l.broken["mail.from"]:
		l.wrong("mail.from", "mail.from is not set; name the sender people will see")
	}
	if (l.MailUser == "") != (l.MailPassword == "") {
		l.wrong(either(l.MailUser == "", "mail.password_file", "mail.user"), "mail.user and mail.password_file belong together; set both or neither")
	}
	if l.MailHost != "" && l.MailTLS == "none" && !isLocal(l.MailHost) {
		l.wrong("mail.tls", "mails carry links that let people in, and mail.tls: none would send them in the open to %s; use starttls or tls", l.MailHost)
	}
}

func either[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// checkFiles looks at the files and folders the settings name. It is apart from
// load because a configuration is also checked on machines that have none of them.
func (l *Loaded) checkFiles() {
	if l.unreadable {
		return
	}
	for _, s := range settings() {
		path := l.field(s).String()
		if !isPath(s) || path == "" || s.kind == "dir" {
			continue
		}
		if err := checkFile(path, s.kind == "secretfile"); err != nil {
			l.wrong(s.key, "%s: %v", s.key, err)
		}
	}
	if l.hasTLS() && checkFile(l.TLSCert, false) == nil && checkFile(l.TLSKey, true) == nil {
		if _, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey); err != nil {
			l.wrong("tls.cert_file", "the certificate cannot be used: %v", strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
	if _, err := seal.LoadKeys(l.KeysDir); err != nil {
		l.wrong("keys_dir", "keys_dir: %v", err)
	}
	if err := refuseDemoKeys(l); err != nil {
		l.wrong("keys_dir", "keys_dir: %v", err)
	}
	if _, err := openPlaces(l.Places); err != nil {
		l.wrong("places_file", "places_file: %v", err)
	}
	key := either(l.DSNFile != "", "database.dsn_file", "database.dsn")
	switch dsn, err := l.dsn(); {
	case err != nil:
		l.wrong(key, "%v", err)
	case inTheOpen(dsn):
		l.warn(key, "whoever is between here and the database could read and change what passes; end the DSN with ?sslmode=verify-full (and sslrootcert=FILE)")
	}
}

// checkFilter reads the filter of breached passwords, which may be large: serve
// opens without waiting for that.
func (l *Loaded) checkFilter() {
	if l.Breached == "" || checkFile(l.Breached, false) != nil {
		return
	}
	if _, err := authenticators.OpenBreached(l.Breached); err != nil {
		l.wrong("passwords.breached_file", "passwords.breached_file: %v", err)
	}
}

// inTheOpen tells whether a DSN leads to another machine without insisting on a
// certificate: PostgreSQL's own default, prefer, takes a connection without TLS too.
func inTheOpen(dsn string) bool {
	rest, ok := strings.CutPrefix(dsn, "postgres")
	if !ok || strings.Contains(rest, "sslmode=verify-") {
		return false
	}
	_, rest, _ = strings.Cut(rest, "://")
	hosts := rest[:strings.IndexAny(rest+"/", "/?")]
	hosts = hosts[strings.LastIndex(hosts, "@")+1:]
	for host := range strings.SplitSeq(hosts, ",") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host != "" && !isLocal(strings.Trim(host, "[]")) {
			return true
		}
	}
	return false
}

// checkFile opens a file the program will need. A secret that everybody on the
// machine can read is none; the group may, because that is how services share.
func checkFile(path string, secret bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	if secret && st.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s can be read by everybody on this machine; run: chmod 600 %s", path, path)
	}
	return nil
}

// readSecret reads a one-line secret file, without its line end.
func readSecret(path string) (seal.Secret, error) {
	if err := checkFile(path, true); err != nil {
		return "", err
	}
	text, err := readBounded(path, 64<<10)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return seal.Secret(strings.TrimRight(string(text), "\r\n")), nil
}
