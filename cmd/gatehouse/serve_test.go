package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manage"
	"gatehouse/proof"
	"gatehouse/sessions"
)

func TestWithoutTLSOnlyTheProxyIsAnswered(t *testing.T) {
	inside := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	guard := onlyProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, inside)
	for _, c := range []struct {
		why, peer string
		want      int
	}{
		{"the proxy", "10.1.2.3:40000", http.StatusNoContent},
		{"the proxy in IPv6 clothes", "[::ffff:10.1.2.3]:40000", http.StatusNoContent},
		{"the proxy with a zone", "[fd00::1%eth0]:40000", http.StatusNoContent},
		{"somebody else", "192.0.2.1:40000", http.StatusForbidden},
		{"somebody who says to be the proxy", "192.0.2.1:40000", http.StatusForbidden},
		{"an address that is none", "@", http.StatusForbidden},
	} {
		r := httptest.NewRequest(http.MethodGet, "/signin", nil)
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", "10.1.2.3")
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s (%s) gets %d, not %d", c.why, c.peer, w.Code, c.want)
		}
	}
}

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	notify("READY=1")
	var b [64]byte
	n, err := l.Read(b[:])
	if err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("systemd reads %q, %v", b[:n], err)
	}
}

// trial is a whole server in this process, as an operator would configure it.
func trial(t *testing.T, settings string) *Loaded {
	t.Helper()
	return trialAt(t, "", settings)
}

// trialAt is trial on the database of a DSN; "" is SQLite.
func trialAt(t *testing.T, dsn, settings string) *Loaded {
	t.Helper()
	if dsn != "" {
		settings += "database: {dsn: '" + dsn + "'}\n"
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "gatehouse.yaml"), []byte("data_dir: data\nkeys_dir: keys\nmail: {folder: outbox}\nlog: {level: error}\n"+settings))
	l := load(filepath.Join(dir, "gatehouse.yaml"), nil, nil)
	if err := l.err(); err != nil {
		t.Fatal(err)
	}
	p := &program{in: os.Stdin, out: t.Output(), err: t.Output(), configFile: l.File}
	if err := (&KeysInit{}).Run(p); err != nil {
		t.Fatal(err)
	}
	if err := (&MigrateCommand{Apply: true}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return l
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := freePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

// eventually asks until yes says so.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !yes() {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestServeSpeaksTLSAndLeavesInOrder(t *testing.T) {
	certFile, keyFile := writePair(t, t.TempDir(), 7)
	public, management := freeAddress(t), freeAddress(t)
	l := trial(t, "origin: https://localhost\nlisten: "+public+"\nmanagement: {listen: "+management+"}\ntls: {cert_file: "+certFile+", key_file: "+keyFile+"}\n")
	h, err := openHouse(t.Context(), l, newLog(t.Output(), "text", "error"), resident())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	left := make(chan error, 1)
	go func() { left <- serve(ctx, h, serveOptions{mode: "serve"}) }()
	eventually(t, "ready", func() bool { return statusOfURL("http://"+management+"/readyz") == http.StatusOK })

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	req, err := http.NewRequest(http.MethodGet, "https://"+public+"/signin", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "localhost"
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.TLS.PeerCertificates[0].SerialNumber.Int64() != 7 || resp.ProtoMajor != 2 {
		t.Errorf("over TLS the sign-in page is %s, %s", resp.Status, resp.Proto)
	}
	if !strings.Contains(resp.Header.Get("Set-Cookie"), "__Host-") {
		t.Error("cookies of an https origin are not bound to their host")
	}
	client.CloseIdleConnections()

	stop()
	if err := <-left; err != nil {
		t.Errorf("it left with %v", err)
	}
	if statusOfURL("http://"+management+"/livez") != 0 {
		t.Error("the management listener is still open")
	}
}

func statusOfURL(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// A database that does not answer is no reason to refuse or to die: the node
// lives, is not ready, says so, and leaves in order.
func TestADatabaseThatIsAwayIsNoReasonToDie(t *testing.T) {
	public, management := freeAddress(t), freeAddress(t)
	l := trial(t, "origin: http://localhost\nlisten: "+public+"\nmanagement: {listen: "+management+"}\n")
	l.DSN, l.Deadline = "postgres://nobody@"+freeAddress(t)+"/nothing", 300*time.Millisecond
	h, err := openHouse(t.Context(), l, newLog(t.Output(), "text", "error"), resident())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	left := make(chan error, 1)
	go func() { left <- serve(ctx, h, serveOptions{mode: "serve"}) }()
	eventually(t, "alive", func() bool { return statusOfURL("http://"+management+"/livez") == http.StatusOK })
	if got := statusOfURL("http://" + management + "/startupz"); got != http.StatusServiceUnavailable {
		t.Errorf("without a database /startupz says %d", got)
	}
	resp, err := http.Get("http://" + management + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status string
		Checks []struct{ Name, Status string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "DOWN" || len(answer.Checks) != 5 {
		t.Errorf("/readyz says %+v, %v", answer, err)
	}
	stop()
	if err := <-left; err != nil {
		t.Errorf("it left with %v", err)
	}
}

func TestWhoIsThrownOutOnAnotherNodeIsOutHere(t *testing.T) {
	l := trial(t, "origin: http://localhost:8080\npasswords: {memory_kib: 8192, time: 1}\n")
	here, err := openHouse(t.Context(), l, newLog(t.Output(), "text", "error"), resident())
	if err != nil {
		t.Fatal(err)
	}
	there, err := openHouse(t.Context(), l, newLog(t.Output(), "text", "error"), visitor())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	r := &loops{house: here}
	r.start(ctx, stop)
	t.Cleanup(func() {
		stop(nil)
		r.wait.Wait()
		if err := errors.Join(here.store.Close(), there.store.Close()); err != nil {
			t.Error(err)
		}
	})
	person := manage.Person{Email: "ana@example.com", Name: "Ana"}
	ana, err := here.manage.AddReady(t.Context(), manage.Ready{Person: person, Password: "tavilo-moreni-kasupo", TOTP: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}, "operator")
	if err != nil {
		t.Fatal(err)
	}
	now := here.now()
	shown := []proof.Proof{{Method: proof.Password, At: now}, {Method: proof.TOTP, At: now}}
	ticket, err := sessions.NewTicket(id.New[id.Session](now, rand.Reader), ana.ID, ana.Epoch, "", shown, here.sessions.Policy, now).Seal(here.keys)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "signed in", func() bool { _, _, err := here.sessions.Check(ticket, here.now()); return err == nil })

	if _, err := there.manage.Disable(t.Context(), "ana@example.com", "", "operator"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "out", func() bool {
		_, _, err := here.sessions.Check(ticket, here.now())
		return fault.Of(err) == fault.NotSignedIn
	})
}
