package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificate serves the newest good pair of two files. It looks at them rather
// than being told, because certificate tools replace files in many ways.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]
	seen    string // what the files looked like when they were last read
}

// certificateEvery is how often the files are looked at.
const certificateEvery = 10 * time.Second

func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.seen = c.look()
	return c, c.read()
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current.Store(&pair)
	return nil
}

// look describes the files by size and time of change, so that they are parsed
// only when something happened.
func (c *certificate) look() string {
	text := ""
	for _, path := range []string{c.certFile, c.keyFile} {
		st, err := os.Stat(path)
		if err != nil {
			text += err.Error()
			continue
		}
		text += fmt.Sprintln(st.Size(), st.ModTime().UnixNano())
	}
	return text
}

// reload takes up changed files. The two are never replaced at the same instant:
// a pair that does not fit keeps the old certificate and is tried again.
func (c *certificate) reload() {
	now := c.look()
	if now == c.seen {
		return
	}
	if err := c.read(); err != nil {
		c.log.Error("the changed certificate cannot be used; the old one stays", "file", c.certFile, "error", err)
		return
	}
	c.seen = now
	c.log.Info("a new certificate is in use", "file", c.certFile, "until", c.until())
}

func (c *certificate) until() time.Time {
	if leaf := c.current.Load().Leaf; leaf != nil {
		return leaf.NotAfter.UTC()
	}
	return time.Time{}
}

// watch takes up changed files until ctx ends and tells when a new one runs out.
func (c *certificate) watch(ctx context.Context, tell func(time.Time)) {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.reload()
			tell(c.until())
		}
	}
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12, // RFC 9325 §3.1.1
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
