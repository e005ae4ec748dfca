package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"gatehouse/authenticators"
	"gatehouse/notices"
	"gatehouse/outbox"
	"gatehouse/seal"
	"gatehouse/store"
)

// DoctorCommand looks an installation over and says what to do about what it finds.
type DoctorCommand struct {
	JSON    bool `help:"Write one JSON object instead of lines."`
	Offline bool `help:"Connect to nothing but the database: neither the mail server nor the public address."`
}

// finding is the outcome of one check.
type finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // success, warning or failure
	Says   string `json:"message"`
	Fix    string `json:"fix,omitempty"` // a command, or what to do where there is none
}

const (
	success = "success"
	warning = "warning"
	failure = "failure"
)

// doctor is one look over an installation.
type doctor struct {
	l        *Loaded
	h        *house // nil when it cannot be opened
	findings []finding
}

func (d *doctor) add(name, status, fix, format string, args ...any) {
	d.findings = append(d.findings, finding{name, status, fmt.Sprintf(format, args...), fix})
}

// Run checks everything, in the order in which one thing rests on another, and
// exits with 1 when something is broken. It changes nothing.
func (c *DoctorCommand) Run(ctx context.Context, p *program) error {
	d := &doctor{l: p.load(nil)}
	if d.configuration() && d.keys() && d.open(ctx) {
		defer d.h.store.Close()
		if d.database(ctx) {
			d.clock(ctx)
			d.outbox(ctx)
			d.followers(ctx)
			d.peers(ctx, c.Offline)
		}
		d.disk()
		d.standby()
		d.certificate()
		d.filter()
		d.makers()
		if !c.Offline {
			d.mail(ctx)
			d.texts(ctx)
			d.address(ctx)
			d.running(ctx)
		}
	}
	return d.tell(p.out, c.JSON)
}

func (d *doctor) tell(w io.Writer, asJSON bool) error {
	broken := 0
	for _, f := range d.findings {
		if f.Status == failure {
			broken++
		}
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(map[string]any{"ok": broken == 0, "checks": d.findings}); err != nil {
			return err
		}
	} else {
		for _, f := range d.findings {
			fmt.Fprintf(w, "[ %s ] %s: %s\n", f.Status, f.Name, f.Says)
			if f.Fix != "" {
				fmt.Fprintf(w, "            fix: %s\n", f.Fix)
			}
		}
	}
	if broken > 0 {
		return next(errors.New(count(broken, "check")+" failed"), "do what stands after fix, from the top, and ask again")
	}
	return nil
}

func (d *doctor) configuration() bool {
	d.l.checkFiles()
	for _, m := range d.l.Warnings {
		d.add("configuration", warning, "gatehouse config check", "%s", m)
	}
	for _, m := range d.l.Mistakes {
		d.add("configuration", failure, "gatehouse config check", "%s", m)
	}
	if len(d.l.Mistakes) == 0 {
		d.add("configuration", success, "", "no mistakes in %s", either(d.l.File != "", d.l.File, "the environment and the defaults"))
	}
	return len(d.l.Mistakes) == 0
}

func (d *doctor) keys() bool {
	infos, err := seal.ListKeys(d.l.KeysDir)
	if err != nil {
		d.add("keys", failure, "gatehouse keys init --dir "+d.l.KeysDir, "%v", err)
		return false
	}
	d.add("keys", success, "", "%s in %s, readable by nobody else", count(len(infos), "key"), d.l.KeysDir)
	if sameDisk(d.l.KeysDir, d.l.DataDir) {
		d.add("keys apart", warning, "mv "+d.l.KeysDir+" to another disk, and set keys_dir", "keys and data lie on the same disk: whoever copies it has both")
	}
	return true
}

func sameDisk(a, b string) bool {
	var x, y syscall.Stat_t
	return syscall.Stat(a, &x) == nil && syscall.Stat(b, &y) == nil && x.Dev == y.Dev
}

func (d *doctor) open(ctx context.Context) bool {
	h, err := openHouse(ctx, d.l, slog.New(slog.DiscardHandler), visitor())
	if err != nil {
		d.add("start", failure, "gatehouse config check", "%v", err)
		return false
	}
	d.h = h
	return true
}

func (d *doctor) database(ctx context.Context) bool {
	const look = "gatehouse config check --print-effective shows where database.dsn leads; see that the server runs (systemctl status postgresql)"
	if err := d.h.store.Ping(ctx); err != nil {
		d.add("database", failure, look, "%v", err)
		return false
	}
	d.add("database", success, "", "answers")
	pending, err := d.h.store.Pending(ctx)
	switch {
	case err != nil:
		d.add("schema", failure, look, "%v", err)
		return false
	case len(pending) > 0:
		d.add("schema", failure, "gatehouse migrate --apply", "waits for %s", count(len(pending), "migration"))
		return false
	}
	d.add("schema", success, "", "as this program wants it")
	err = d.h.store.BackgroundRead(ctx, func(tx *store.Tx) error { return authenticators.CheckKeys(tx, d.h.keys) })
	if err != nil {
		d.add("keys of the database", failure, "set keys_dir to the right folder, or put that folder back from the backup", "%v", err)
		return false
	}
	d.add("keys of the database", success, "", "these are the keys it was made with")
	return true
}

func (d *doctor) clock(ctx context.Context) {
	floor, err := d.h.store.Floor(ctx)
	if err != nil {
		d.add("clock", warning, "ask again once the database answers", "%v", err)
		return
	}
	if behind := time.Until(floor); behind > noticeBehind {
		d.add("clock", failure, "timedatectl set-ntp true", "is %s behind what the database has seen already", behind.Round(time.Second))
		return
	}
	d.add("clock", success, "", "is not behind what the database has seen")
}

// outboxLate is how long mail may wait before somebody should look.
const outboxLate = 10 * time.Minute

func (d *doctor) outbox(ctx context.Context) {
	var waits bool
	var since time.Time
	err := d.h.store.BackgroundRead(ctx, func(tx *store.Tx) (err error) {
		since, waits, err = outbox.OldestDue(tx, time.Now())
		return err
	})
	switch late := time.Since(since); {
	case err != nil:
		d.add("outbox", warning, "ask again once the database answers", "%v", err)
	case waits && late > outboxLate:
		d.add("outbox", warning, "see the log of gatehouse serve, and the check of mail below", "the oldest mail has waited %s", late.Round(time.Minute))
	default:
		d.add("outbox", success, "", "no mail waits long")
	}
}

// diskLow is the share of free space below which people should be woken.
const diskLow = 10 // per cent

func (d *doctor) disk() {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.l.DataDir, &s); err != nil || s.Blocks == 0 {
		d.add("disk", warning, "mkdir -p "+d.l.DataDir, "data_dir cannot be measured: %v", err)
		return
	}
	free, share := s.Bavail*uint64(s.Bsize), s.Bavail*100/s.Blocks
	if share < diskLow {
		d.add("disk", warning, "df -h "+d.l.DataDir, "%s free (%d %%) where data_dir lies", humanize.IBytes(free), share)
		return
	}
	d.add("disk", success, "", "%s free where data_dir lies", humanize.IBytes(free))
}

// certificateSoon is how long before its end a certificate is spoken of.
const certificateSoon = 14 * 24 * time.Hour

func (d *doctor) certificate() {
	if !d.l.hasTLS() {
		return
	}
	fix := "renew " + d.l.TLSCert + " (certbot renew, or what made it); serve takes it up by itself"
	c, err := openCertificate(d.l.TLSCert, d.l.TLSKey, slog.New(slog.DiscardHandler))
	if err != nil {
		d.add("certificate", failure, fix, "%v", err)
		return
	}
	leaf := c.current.Load().Leaf
	switch left := time.Until(leaf.NotAfter); {
	case left <= 0:
		d.add("certificate", failure, fix, "ran out on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case !certifies(leaf, d.l.Origin):
		d.add("certificate", failure, fix, "is not for the host of %s", d.l.Origin)
	case left < certificateSoon:
		d.add("certificate", warning, fix, "runs out in %s", humanize.Time(leaf.NotAfter))
	default:
		d.add("certificate", success, "", "good until %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

func certifies(leaf *x509.Certificate, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && leaf.VerifyHostname(u.Hostname()) == nil
}

func (d *doctor) filter() {
	if d.l.Breached == "" {
		return
	}
	b, err := authenticators.OpenBreached(d.l.Breached)
	if err != nil {
		d.add("breached passwords", failure, "gatehouse breached build --in LIST --out "+d.l.Breached, "%v", err)
		return
	}
	d.add("breached passwords", success, "", "%s in the filter", humanize.Comma(int64(b.Count)))
}

func (d *doctor) mail(ctx context.Context) {
	sender, err := d.l.sender()
	if err == nil {
		if smtp, ok := sender.(*notices.SMTP); ok {
			err = smtp.Try(ctx)
		} else {
			err = writable(d.l.MailFolder)
		}
	}
	if err != nil {
		d.add("mail", failure, "check mail.host, mail.port, mail.tls, mail.user and mail.password_file: gatehouse config check --print-effective", "%v", err)
		return
	}
	d.add("mail", success, "", "%s", either(d.l.MailFolder != "", "is written to "+d.l.MailFolder, "the server takes our name and password"))
}

func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// address asks the public address for a page that names it: proxy, certificate
// and Host header have to be right for that.
func (d *doctor) address(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fix := "see that gatehouse serve runs (systemctl status gatehouse), and that the proxy hands on Host as people typed it"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.l.Origin+"/.well-known/security.txt", nil)
	if err != nil {
		d.add("public address", failure, fix, "%v", err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.add("public address", failure, fix, "%s cannot be reached from here: %v", d.l.Origin, err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "Canonical: "+d.l.Origin+"/") {
		d.add("public address", failure, fix, "%s answers %s, but not as this installation", d.l.Origin, resp.Status)
		return
	}
	d.add("public address", success, "", "%s leads here", d.l.Origin)
}
