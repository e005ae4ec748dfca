package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are the words the scripts know besides those of testscript.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"freeport": scriptFreePort,
	"until":    scriptUntil,
	"get":      scriptGet,
	"filemode": scriptMode,
	"replace":  scriptReplace,

	"until-file": scriptUntilFile,
}

// scriptFreePort puts the address of a free port into each named variable.
func scriptFreePort(ts *testscript.TestScript, neg bool, names []string) {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, l.Addr().String())
		ts.Check(l.Close())
	}
}

// scriptUntil waits until a URL answers 200.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := http.Get(args[0])
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("%s", resp.Status)
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %v", args[0], err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// scriptGet writes the answer of a URL, status line first, to the file "answer";
// it follows no redirect.
func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	for _, header := range args[1:] {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	var text bytes.Buffer
	fmt.Fprintln(&text, resp.Status)
	ts.Check(resp.Header.Write(&text))
	_, err = io.Copy(&text, resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text.Bytes(), 0o600))
}

// scriptMode holds the mode of files against the first argument.
func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	for _, path := range args[1:] {
		st, err := os.Stat(ts.MkAbs(path))
		ts.Check(err)
		if got := fmt.Sprintf("%o", st.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, not %s", path, got, args[0])
		}
	}
}

// scriptReplace puts the value of variables into a file, where it says $NAME.
func scriptReplace(ts *testscript.TestScript, neg bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// scriptUntilFile waits until the one file of a pattern holds a text, and copies
// it to the file "exported".
func scriptUntilFile(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		names, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(names) == 1 {
			text, err := os.ReadFile(names[0])
			ts.Check(err)
			if strings.Contains(string(text), args[1]) {
				ts.Check(os.WriteFile(ts.MkAbs("exported"), text, 0o600))
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not come to hold %s", args[0], args[1])
		}
		<-time.After(20 * time.Millisecond)
	}
}
