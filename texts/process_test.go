package texts_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// process is a provider that runs as a process of its own (test/textprovider).
type process struct {
	t    testing.TB
	base string
	kill func()
}

var (
	building sync.Once
	binary   string
	built    error
)

// TestMain takes the built program away again.
func TestMain(m *testing.M) {
	code := m.Run()
	if binary != "" {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// start runs a provider that wants a secret; one for all tests is built once.
func start(t testing.TB, secret string) *process {
	t.Helper()
	building.Do(func() {
		dir, err := os.MkdirTemp("", "textprovider")
		if err != nil {
			t.Fatal(err)
		}
		binary = filepath.Join(dir, "textprovider")
		out, err := exec.Command("go", "build", "-o", binary, "gatehouse/test/textprovider").CombinedOutput()
		if built = err; err != nil {
			t.Logf("%s", out)
		}
	})
	if built != nil {
		t.Fatal(built)
	}
	cmd := exec.Command(binary, "127.0.0.1:0", secret)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &process{t, "http://" + strings.TrimSpace(line), kill}
}

func (p *process) behaves(mode string) {
	p.t.Helper()
	resp, err := http.PostForm(p.base+"/behave", url.Values{"mode": {mode}})
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
}

type taken struct{ ID, To, Way, Text, Digits string }

func (p *process) taken() (all []taken, asked int) {
	p.t.Helper()
	resp, err := http.Get(p.base + "/taken")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var kept struct {
		Taken []taken
		Asked int
	}
	if err := json.Unmarshal(body, &kept); err != nil {
		p.t.Fatal(err)
	}
	return kept.Taken, kept.Asked
}
