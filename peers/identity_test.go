package peers_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/peers"
	"gatehouse/seal"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// one starts a single node on a clock of its own and says whether a claim ever
// reached it.
func one(t *testing.T, keys *seal.Keys, clock *storetest.Clock) (address string, p *peers.Peers, reached func() bool) {
	t.Helper()
	o, l := options(keys), listen(t)
	o.Now = clock.Now
	p, err := peers.New(o)
	must(t, err)
	got := make(chan struct{}, 100)
	start(t, &node{Peers: p}, l, peers.House{Claim: func([]store.Fact) bool { got <- struct{}{}; return true }})
	return l.Addr().String(), p, func() bool { return len(got) > 0 }
}

// ask sends a claim over TLS of the test's own making.
func ask(address string, config *tls.Config) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	answer, err := client.Post("https://"+address+peers.PathClaim, "application/json", bytes.NewReader([]byte(`{"facts":[{"t":"used","k":"[1]","b":"x"}]}`)))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", answer.Status)
	}
	return nil
}

// forge makes a certificate that says what a node's would, signed by an authority
// of the forger's own that has the name of ours.
func forge(t *testing.T, real *tls.Config) tls.Certificate {
	t.Helper()
	leaf, err := real.GetClientCertificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{tls.Ed25519}})
	must(t, err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: leaf.Leaf.RawIssuer, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: leaf.Leaf.NotBefore, NotAfter: leaf.Leaf.NotAfter}
	template := *leaf.Leaf
	template.AuthorityKeyId = nil
	der, err := x509.CreateCertificate(rand.Reader, &template, authority, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func selfMade(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, URIs: []*url.URL{{Scheme: "urn", Opaque: "uuid:" + string(storetest.Node)}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// only is a client configuration that shows one certificate whatever is asked for.
func only(real *tls.Config, cert tls.Certificate) *tls.Config {
	c := real.Clone()
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	return c
}

func TestOnlyANodeOfThisInstallationIsHeard(t *testing.T) {
	keys, _ := newKeys(t)
	foreignKeys, _ := newKeys(t)
	clock := storetest.NewClock()
	client := func(t *testing.T, k *seal.Keys, ahead time.Duration) *tls.Config {
		o := options(k)
		o.Now = func() time.Time { return clock.Now().Add(ahead) }
		p, err := peers.New(o)
		must(t, err)
		return p.ClientConfig()
	}
	for _, c := range []struct {
		name string
		with func(t *testing.T) *tls.Config
		want bool
	}{
		{"a node of this installation", func(t *testing.T) *tls.Config { return client(t, keys, 0) }, true},
		{"one whose clock is an hour ahead", func(t *testing.T) *tls.Config { return client(t, keys, time.Hour) }, true},
		{"one whose clock is an hour behind", func(t *testing.T) *tls.Config { return client(t, keys, -time.Hour) }, true},
		{"a node of another installation", func(t *testing.T) *tls.Config { return client(t, foreignKeys, 0) }, false},
		{"a node of another installation that asks for our name and trusts anybody", func(t *testing.T) *tls.Config {
			foreign := client(t, foreignKeys, 0)
			c := foreign.Clone()
			c.ServerName, c.InsecureSkipVerify = client(t, keys, 0).ServerName, true
			leaf, err := foreign.GetClientCertificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{tls.Ed25519}})
			must(t, err)
			return only(c, *leaf)
		}, false},
		{"a certificate signed by an authority with our authority's name", func(t *testing.T) *tls.Config {
			real := client(t, keys, 0)
			return only(real, forge(t, real))
		}, false},
		{"a certificate somebody made alone", func(t *testing.T) *tls.Config { return only(client(t, keys, 0), selfMade(t)) }, false},
		{"a certificate that ran out", func(t *testing.T) *tls.Config {
			old := client(t, keys, -4*time.Hour)
			c := old.Clone()
			c.Time = clock.Now // it believes in ours
			return c
		}, false},
		{"a certificate of tomorrow", func(t *testing.T) *tls.Config {
			c := client(t, keys, 24*time.Hour).Clone()
			c.Time = clock.Now
			return c
		}, false},
		{"TLS without a client certificate", func(t *testing.T) *tls.Config { return only(client(t, keys, 0), tls.Certificate{}) }, false},
		{"a browser that trusts anybody", func(*testing.T) *tls.Config { return &tls.Config{InsecureSkipVerify: true} }, false},
		{"an older TLS", func(t *testing.T) *tls.Config {
			c := client(t, keys, 0).Clone()
			c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return c
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, _, reached := one(t, keys, clock)
			err := ask(address, c.with(t))
			if (err == nil) != c.want || reached() != c.want {
				t.Errorf("%v; it was heard: %v", err, reached())
			}
		})
	}
}

func TestPlainHTTPIsRefused(t *testing.T) {
	keys, _ := newKeys(t)
	address, _, reached := one(t, keys, storetest.NewClock())
	answer, err := http.Post("http://"+address+peers.PathClaim, "application/json", bytes.NewReader([]byte(`{"facts":[{"t":"used","k":"[1]","b":"x"}]}`)))
	if err == nil {
		answer.Body.Close()
	}
	if err == nil && answer.StatusCode == http.StatusOK || reached() {
		t.Error("it was answered without TLS")
	}
}

// A caller finds out too: nothing is sent to a listener that is not ours.
func TestNothingIsSaidToAStranger(t *testing.T) {
	keys, _ := newKeys(t)
	foreignKeys, _ := newKeys(t)
	address, _, reached := one(t, foreignKeys, storetest.NewClock())
	o := options(keys)
	o.Now, o.Nodes = storetest.NewClock().Now, []string{address}
	p, err := peers.New(o)
	must(t, err)
	if granted, answered := p.Claim(t.Context(), []store.Fact{fact("a", "x")}); !granted || answered != 0 || reached() {
		t.Errorf("granted %v, %d answered; it was heard: %v", granted, answered, reached())
	}
}

func TestARotatedKeyKeepsPeersTalkingWhileNodesRestartOneByOne(t *testing.T) {
	_, dir := newKeys(t)
	before := loadKeys(t, dir)
	must(t, seal.RotateKey(dir, "pepper"))
	after := loadKeys(t, dir)
	for _, c := range []struct {
		name           string
		called, caller *seal.Keys
	}{
		{"a node with the newer key calls one without", before, after},
		{"a node without the newer key calls one with it", after, before},
		{"both have it", after, after},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := storetest.NewClock()
			address, _, _ := one(t, c.called, clock)
			o := options(c.caller)
			o.Now = clock.Now
			p, err := peers.New(o)
			must(t, err)
			if err := ask(address, p.ClientConfig()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificatesAreMadeAnewWhileServing(t *testing.T) {
	keys, _ := newKeys(t)
	clock := storetest.NewClock()
	address, _, _ := one(t, keys, clock)
	o := options(keys)
	o.Now = clock.Now
	p, err := peers.New(o)
	must(t, err)
	for range 5 {
		if err := ask(address, p.ClientConfig()); err != nil {
			t.Fatalf("at %v: %v", clock.Now(), err)
		}
		clock.Forward(100 * time.Hour)
	}
}

func TestAListenerFullOfSilentStrangersLetsThemGo(t *testing.T) {
	keys, _ := newKeys(t)
	address, p, _ := one(t, keys, storetest.NewClock())
	var silent []net.Conn
	for range 600 { // more than there are places
		c, err := net.DialTimeout("tcp", address, 10*time.Second)
		must(t, err)
		silent = append(silent, c)
	}
	defer func() {
		for _, c := range silent {
			c.Close()
		}
	}()
	eventually(t, "they are thrown out and a peer gets in", func() bool { return ask(address, p.ClientConfig()) == nil })
}
