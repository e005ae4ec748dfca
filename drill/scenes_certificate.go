package drill

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// issuer is a certificate authority of a drill's own.
type issuer struct {
	rand   io.Reader
	now    func() time.Time
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
}

func newIssuer(random io.Reader, now func() time.Time) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, err
	}
	i := &issuer{rand: random, now: now, key: key}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "drill"}, NotBefore: now().Add(-time.Hour), NotAfter: now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(random, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	i.cert, err = x509.ParseCertificate(der)
	return i, err
}

// issue writes a certificate that is good for so long, and its key, each file at once.
func (i *issuer) issue(certFile, keyFile string, life time.Duration) error {
	i.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), i.rand)
	if err != nil {
		return err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1 + i.serial), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: i.now().Add(-time.Minute), NotAfter: i.now().Add(life), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(i.rand, t, i.cert, &key.PublicKey, i.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(replace(keyFile, "PRIVATE KEY", secret), replace(certFile, "CERTIFICATE", der))
}

func replace(path, sort string, der []byte) error {
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: sort, Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// certificateLife is that of every certificate: each runs out within the drill.
const certificateLife = 60 * time.Second

// certificateExpired: certificates run out and are renewed in time, by files
// alone.
func certificateExpired(ctx context.Context, s *stage) error {
	i, err := newIssuer(s.Rand, s.Now)
	if err != nil {
		return err
	}
	cert, key := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	if err := i.issue(cert, key, certificateLife); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(i.cert)
	s.people.client.secure(&tls.Config{RootCAs: roots, ServerName: host, Time: s.Now})
	if err := s.open(ctx, 1, fmt.Sprintf("tls: {cert_file: %s, key_file: %s}\n", cert, key)); err != nil {
		return err
	}
	if err := s.warm(ctx); err != nil {
		return err
	}
	renewed := 0
	first := s.Now()
	for s.Now().Sub(first) < max(s.length, certificateLife+10*time.Second) {
		if err := s.breaks("renewing the certificate", func() error { return i.issue(cert, key, certificateLife) }, func() error { return nil }); err != nil {
			return err
		}
		renewed++
		if err := s.hold(ctx, "certificates run out", certificateLife/3); err != nil {
			return err
		}
	}
	s.result.figure("renewed", renewed)
	if until, shown := s.nodes[0].Gauge(ctx, "gatehouse_cert_expiry_timestamp_seconds"); !shown || until <= float64(first.Add(certificateLife).Unix()) {
		s.result.miss("the first certificate has run out, and the metrics still show it: %v", until)
	}
	if err := s.heals("the last one is good", func() error { return nil }); err != nil {
		return err
	}
	if err := s.settle(ctx, time.Minute); err != nil {
		return err
	}
	return s.finish(ctx, 100)
}

// secure makes a client speak TLS, a handshake for every request.
func (c *client) secure(t *tls.Config) {
	c.scheme = "https"
	c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: t, DisableKeepAlives: true}, Timeout: patience}
}
