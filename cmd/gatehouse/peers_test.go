package main

import (
	"slices"
	"testing"
)

func TestTheWayIsLentToTheHostsOfTheDSNAlone(t *testing.T) {
	for _, c := range []struct {
		name, dsn string
		want      []string
	}{
		{"one host", "postgres://g@db.internal/gatehouse", []string{"db.internal:5432"}},
		{"several, with ports of their own", "postgres://g@db1:6432,db2/gatehouse?sslmode=verify-full", []string{"db1:6432", "db2:5432"}},
		{"one that is tried with and without TLS counts once", "postgres://g@db1/gatehouse?sslmode=prefer", []string{"db1:5432"}},
		{"an IPv6 address", "postgres://g@[fd00::1]:5433/gatehouse", []string{"[fd00::1]:5433"}},
		{"a socket file", "postgres://g@/gatehouse?host=/run/postgresql", nil},
		{"SQLite", "sqlite:/tmp/x.db", nil},
	} {
		l := &Loaded{}
		l.DSN = c.dsn
		got, err := l.databases()
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestANodeIsAHostAndAPort(t *testing.T) {
	for text, good := range map[string]bool{
		"node2:9443": true, "10.0.0.2:9443": true, "[fd00::2]:9443": true, "a.b.c.:1": true,
		"node2": false, ":9443": false, "0.0.0.0:9443": false, "[::]:9443": false, "fd00::2:9443": false,
		"https://node2:9443": false, "node2:0": false, "node2:70000": false, "node2:x": false, "me@node2:9443": false, "": false,
	} {
		if err := judgeNode(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
