package hooks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// How long each step of a call may take. The call's time is for all of it, so that
// it bounds whatever a receiver can think of.
const (
	callTime = 10 * time.Second
	dialTime = 5 * time.Second
	bodyTime = time.Second // the answer's body only decides whether the connection can be used again
)

// maxHeader and maxBody bound what is read of an answer, in bytes.
const (
	maxHeader = 16 << 10
	maxBody   = 8 << 10
)

// Door opens connections to receivers, and to nobody they may not be. Make one
// with NewDoor; it is used by any number of goroutines.
type Door struct {
	allowed []netip.Prefix
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	secure  *http.Client // for https
	plain   *http.Client // for http: into the allowed networks only
	call    time.Duration
}

// NewDoor makes a door. allowed are networks that would be refused otherwise, and
// the only ones http:// may lead to; roots is nil for those of the system.
func NewDoor(allowed []netip.Prefix, roots *x509.CertPool) *Door {
	d := &Door{allowed: allowed, lookup: net.DefaultResolver.LookupNetIP, call: callTime}
	d.secure, d.plain = d.client(roots, false), d.client(roots, true)
	return d
}

// Client speaks through the door: over https to the public Internet and what is
// allowed, or plain into what is allowed only.
func (d *Door) Client(plain bool) *http.Client { return either(plain, d.plain, d.secure) }

// Check looks at what can be seen of an address without asking DNS.
func (d *Door) Check(address string) error { return checkURL(address, d.allowed) }

// client follows no redirect, knows no proxy (its own address would be the one
// that is looked at) and speaks HTTP/1.1: the least a receiver can play with.
func (d *Door) client(roots *x509.CertPool, plain bool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				return d.dial(ctx, address, plain)
			},
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout:    dialTime,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns:           Most,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
		},
	}
}

// dial asks DNS once and connects to an address of that answer, so that a name
// cannot mean one thing when it is looked at and another when it is used.
func (d *Door) dial(ctx context.Context, address string, plain bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.reachable(ctx, host, plain)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialTime / 2, Control: func(_, address string, _ syscall.RawConn) error {
		return d.lastLook(address, plain)
	}}
	for _, a := range addrs {
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// maxAddresses is how many addresses of a name are tried.
const maxAddresses = 4

// reachable are the addresses of a host that we may connect to; ErrInside when
// it has addresses and none is.
func (d *Door) reachable(ctx context.Context, host string, plain bool) ([]netip.Addr, error) {
	found, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var good []netip.Addr
	for _, a := range found {
		if mayReach(a, d.allowed, plain) && len(good) < maxAddresses {
			good = append(good, a.Unmap())
		}
	}
	if len(good) == 0 {
		return nil, either(plain, ErrPlain, ErrInside)
	}
	return good, nil
}

func (d *Door) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	found, err := d.lookup(ctx, "ip", host)
	if err == nil && len(found) == 0 {
		err = errors.New("the name has no address")
	}
	return found, err
}

// lastLook is asked by the socket itself, right before it connects: a second
// fence for a day on which somebody changes dial.
func (d *Door) lastLook(address string, plain bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !mayReach(at.Addr(), d.allowed, plain) {
		return fmt.Errorf("%w", ErrInside)
	}
	return nil
}

func either[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}
