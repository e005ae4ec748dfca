package web

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// BenchmarkSessionCheck compares the session check with the least a net/http
// handler can do, over loopback, with a client that costs next to nothing. The
// goal of the issue is 0.60 × bare; `gatehouse bench` judges it.
func BenchmarkSessionCheck(b *testing.B) {
	h := buildHouse(b, "http://gatehouse.test")
	h.Now = time.Now // the quick way pays for a real clock too
	h.clock = time.Now()
	token, _ := h.ticket(b)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"active":true}`)
	})
	b.Run("bare", func(b *testing.B) { ask(b, bare, token) })
	b.Run("gatehouse", func(b *testing.B) { ask(b, h.Server, token) })
}

func ask(b *testing.B, h http.Handler, token string) {
	s := httptest.NewServer(h)
	defer s.Close()
	question := []byte("GET " + sessionPath + " HTTP/1.1\r\nHost: gatehouse.test\r\nCookie: gh-session=" + token + "\r\n\r\n")
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		answer := bufio.NewReader(conn)
		for pb.Next() {
			if _, err := conn.Write(question); err != nil {
				b.Error(err)
				return
			}
			if !readAnswer(b, answer) {
				return
			}
		}
	})
}

func readAnswer(b *testing.B, r *bufio.Reader) bool {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			b.Error(err)
			return false
		}
		if first && string(line) != "HTTP/1.1 200 OK\r\n" {
			b.Errorf("answer %s", line)
			return false
		}
		if len(line) == 2 {
			_, err := r.Discard(length)
			return err == nil
		}
		if rest, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			for _, c := range strings.TrimSpace(rest) {
				length = length*10 + int(c-'0')
			}
		}
	}
}
