package peers

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/id"
)

// purpose of the key that seal derives for the authority.
const purpose = "peers: certificate authority"

// A certificate lasts for hours and is made anew each hour; whoever has the key
// folder can make one anyway. Hours, because a peer whose clock is wrong should
// still be spoken to: its clock is told by gatehouse peers check.
const (
	leafSpan  = 3 * time.Hour // before and after the moment it is made
	leafRenew = time.Hour
)

// authority is what signs certificates: an Ed25519 key (RFC 8410) that is the same
// on every node with the same pepper key.
type authority struct {
	name string // tells authorities apart in the open; 8 hexadecimal digits of its public key's hash
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

// identity makes this node's certificates and knows which to accept.
type identity struct {
	node        id.Node
	authorities []authority // the newest first
	pool        *x509.CertPool
	key         ed25519.PrivateKey
	now         func() time.Time
	rand        io.Reader

	mu     sync.Mutex
	leaves []tls.Certificate // one of each authority, in their order
	made   time.Time
}

func newIdentity(o Options) (*identity, error) {
	_, key, err := ed25519.GenerateKey(o.Rand)
	if err != nil {
		return nil, err
	}
	i := &identity{node: o.Node, pool: x509.NewCertPool(), key: key, now: o.Now, rand: o.Rand}
	for _, seed := range o.Keys.DeriveAll(purpose) {
		a, err := newAuthority(seed, o.Rand)
		if err != nil {
			return nil, err
		}
		i.authorities = append(i.authorities, a)
		i.pool.AddCert(a.cert)
	}
	_, err = i.current()
	return i, err
}

// newAuthority makes the same certificate from the same seed, as an Ed25519
// signature has no randomness. It is valid for ever: it ends with its pepper key.
func newAuthority(seed [32]byte, random io.Reader) (authority, error) {
	key := ed25519.NewKeyFromSeed(seed[:])
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	name := hex.EncodeToString(sum[:4])
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Gatehouse peers " + name},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 §4.1.2.5
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{name, cert, key}, err
}

// under is the domain of the names that peers ask for. It leads nowhere: they only
// carry which authorities the asker knows, as RFC 8446 has no other place for that
// in a ClientHello that Go would send.
const under = ".peers.gatehouse.internal"

// maxNames is how many authorities fit into one label of 63 letters.
const maxNames = 7

// asks is the server name a client of this node sends: "0a1b2c3d-99887766.peers…".
func (i *identity) asks() string {
	var names []string
	for _, a := range i.authorities[:min(maxNames, len(i.authorities))] {
		names = append(names, a.name)
	}
	return strings.Join(names, "-") + under
}

// current returns this node's certificates, made anew when they are an hour old.
func (i *identity) current() ([]tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if i.leaves != nil && now.Sub(i.made).Abs() < leafRenew {
		return i.leaves, nil
	}
	var leaves []tls.Certificate
	for _, a := range i.authorities {
		leaf, err := i.leaf(a, now)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf)
	}
	i.leaves, i.made = leaves, now
	return leaves, nil
}

func (i *identity) leaf(a authority, now time.Time) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixMicro()),
		Subject:      pkix.Name{CommonName: string(i.node)},
		URIs:         []*url.URL{{Scheme: "urn", Opaque: "uuid:" + string(i.node)}}, // RFC 9562 §4
		DNSNames:     []string{"*" + under},
		NotBefore:    now.Add(-leafSpan), NotAfter: now.Add(leafSpan),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(i.rand, template, a.cert, i.key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.key, Leaf: parsed}, err
}

// errForeign is a node of another installation, or one whose key folder is not the same.
var errForeign = errors.New("peers: the two have no key in common")

// server is the side that is called: a certificate the caller knows the authority
// of, and one demanded of it.
func (i *identity) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			leaf, err := i.known(hello.ServerName)
			if err != nil {
				return nil, err
			}
			return i.config(func(c *tls.Config) {
				c.Certificates = []tls.Certificate{leaf}
				c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, i.pool
			}), nil
		},
	}
}

// client is the side that calls.
func (i *identity) client() *tls.Config {
	return i.config(func(c *tls.Config) {
		c.ServerName, c.RootCAs = i.asks(), i.pool
		c.GetClientCertificate = i.accepted
	})
}

func (i *identity) config(with func(*tls.Config)) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, Time: i.now, Rand: i.rand,
		SessionTicketsDisabled: true, // each connection proves itself anew
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := nodeOf(s)
			return err
		},
	}
	with(c)
	return c
}

// known is the certificate of the newest authority that the caller's server name
// lists. A caller that knows none gets the newest: it finds out by itself why it
// does not belong here, and is refused for its own certificate.
func (i *identity) known(serverName string) (tls.Certificate, error) {
	leaves, err := i.current()
	if err != nil {
		return tls.Certificate{}, err
	}
	label, ours := strings.CutSuffix(serverName, under)
	names := strings.Split(label, "-")
	for n, a := range i.authorities {
		if ours && slices.Contains(names, a.name) {
			return leaves[n], nil
		}
	}
	return leaves[0], nil
}

// accepted is the certificate of the newest authority that the called side lists
// (RFC 8446 §4.2.4).
func (i *identity) accepted(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	leaves, err := i.current()
	if err != nil {
		return nil, err
	}
	for n := range leaves {
		if request.SupportsCertificate(&leaves[n]) == nil {
			return &leaves[n], nil
		}
	}
	return nil, errForeign
}

// nodeOf reads the node's name from a verified certificate.
func nodeOf(s tls.ConnectionState) (id.Node, error) {
	if len(s.PeerCertificates) == 0 {
		return "", errors.New("peers: no certificate")
	}
	uris := s.PeerCertificates[0].URIs
	if len(uris) != 1 || uris[0].Scheme != "urn" {
		return "", errors.New("peers: the certificate names no node")
	}
	node, err := id.Parse[id.Node](strings.TrimPrefix(uris[0].Opaque, "uuid:"))
	if err != nil {
		return "", fmt.Errorf("peers: the certificate's node: %w", err)
	}
	return node, nil
}
