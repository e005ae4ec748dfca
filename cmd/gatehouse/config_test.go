package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEverySettingIsWholeAndItsDefaultIsAllowed(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() { // load panics on a default or range that cannot be read
		t.Run(s.key, func(t *testing.T) {
			if seen[s.key] || seen[s.env] {
				t.Error("two settings share this key or variable")
			}
			seen[s.key], seen[s.env] = true, true
			if s.why == "" || !strings.HasSuffix(s.why, ".") {
				t.Errorf("its why %q is not a sentence", s.why)
			}
			if _, ok := kinds[s.kind]; s.kind != "" && !ok && !isPath(s) && s.kind != "networks" {
				t.Errorf("nothing judges the kind %q", s.kind)
			}
			if strings.HasSuffix(s.key, "_file") != (s.kind == "file" || s.kind == "secretfile") {
				t.Error("a setting whose key ends in _file names a file, and no other does")
			}
			l := load("", nil, nil)
			if s.fallback != "" {
				if err := l.set(s, []string{s.fallback}); err != nil {
					t.Errorf("its default is refused: %v", err)
				}
			}
			if s.example != "" {
				if err := l.set(s, splitList(strings.Trim(s.example, "[]"))); err != nil {
					t.Errorf("its example is refused: %v", err)
				}
			}
		})
	}
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	for _, g := range []struct {
		file, command string
		make          func(*bytes.Buffer)
	}{
		{"../../docs/configuration.md", "config docs", func(b *bytes.Buffer) { printMarkdown(b) }},
		{"../../deploy/gatehouse.example.yaml", "config example", func(b *bytes.Buffer) { printExample(b) }},
	} {
		var want bytes.Buffer
		g.make(&want)
		got, err := os.ReadFile(g.file)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what the settings say (%v); run: go run ./cmd/gatehouse %s > %s", g.file, err, g.command, g.file)
		}
	}
}

// uncomment takes the # away from every setting of the example file.
func uncomment(text string) string {
	return regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`).ReplaceAllString(text, "$1$2")
}

func TestTheExampleFileNamesEverySettingOnce(t *testing.T) {
	text, err := os.ReadFile("../../deploy/gatehouse.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/gatehouse.yaml"
	if err := os.WriteFile(path, []byte(uncomment(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	l := load(path, nil, nil)
	for _, m := range l.Mistakes {
		t.Error(m)
	}
	for _, s := range settings() {
		if _, ok := l.From[s.key]; !ok {
			t.Errorf("%s is missing", s.key)
		}
	}
}

func TestTheExampleFileIsGoodAsItIs(t *testing.T) {
	l := load("../../deploy/gatehouse.example.yaml", nil, nil)
	if len(l.Mistakes) > 0 {
		t.Error(l.Mistakes)
	}
}

func TestSuggestions(t *testing.T) {
	all := keys(settings())
	for written, want := range map[string]string{
		"orgin":                "origin",        // a letter is missing
		"oriign":               "origin",        // two are swapped
		"idle":                 "sessions.idle", // the section is missing
		"session.idle":         "sessions.idle", // the section is wrong
		"passwords.memory_kb":  "passwords.memory_kib",
		"database.passwrd":     "",
		"something.altogether": "",
	} {
		got := strings.TrimSuffix(strings.TrimPrefix(didYouMean(written, all), "; did you mean "), "?")
		if got != want {
			t.Errorf("%s: suggests %q, not %q", written, got, want)
		}
	}
}

func TestTimesAreShownAsTheyAreWritten(t *testing.T) {
	for text, d := range map[string]time.Duration{
		"90s": 90 * time.Second, "15m": 15 * time.Minute, "12h": 12 * time.Hour, "30d": 720 * time.Hour, "1h30m": 90 * time.Minute, "200ms": 200 * time.Millisecond,
	} {
		read, err := parseDuration(text)
		if err != nil || read != d {
			t.Errorf("%s is read as %v, %v", text, read, err)
		}
		again, err := parseDuration(showDuration(d))
		if err != nil || again != d {
			t.Errorf("%v is shown as %s", d, showDuration(d))
		}
	}
}

func TestAFlagBeatsTheEnvironmentBeatsTheFile(t *testing.T) {
	path := t.TempDir() + "/gatehouse.yaml"
	if err := os.WriteFile(path, []byte("log: {level: warn, format: text}\nproduct: File\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := load(path, []string{"GATEHOUSE_LOG_LEVEL=error", "GATEHOUSE_LOG_FORMAT=json", "GATEHOUSE_PRODUCT="}, map[string]string{"log-level": "debug"})
	got := []string{l.LogLevel, l.LogFormat, l.Product}
	if want := []string{"debug", "json", "File"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestVariablesThatAContainerPlatformSetsAreNoMistakes(t *testing.T) {
	l := load("", []string{
		"GATEHOUSE_SERVICE_HOST=10.0.0.1", "GATEHOUSE_SERVICE_PORT=8080", "GATEHOUSE_SERVICE_PORT_HTTP=8080", "GATEHOUSE_PORT=tcp://10.0.0.1:8080",
		"GATEHOUSE_PORT_8080_TCP_ADDR=10.0.0.1", "GATEHOUSE_ORIGIN=http://localhost", "GATEHOUSE_MAIL_FOLDER=outbox",
	}, nil)
	if len(l.Mistakes) > 0 {
		t.Error(l.Mistakes)
	}
	if l := load("", []string{"GATEHOUSE_PORTS=8080"}, nil); len(l.Mistakes) == 0 || l.Mistakes[0].Where.Name != "GATEHOUSE_PORTS" {
		t.Errorf("a variable that somebody wrote is not told: %v", l.Mistakes)
	}
}

func TestRelativePathsAreThoseOfTheFile(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/gatehouse.yaml"
	text := "origin: http://localhost:8080\nkeys_dir: keys\ndatabase: {dsn: \"sqlite:data/gatehouse.db\"}\nmail: {folder: /srv/outbox}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := load(path, []string{"GATEHOUSE_DATA_DIR=data"}, nil)
	dsn, err := l.dsn()
	got := []string{l.KeysDir, l.MailFolder, l.DataDir, dsn}
	want := []string{dir + "/keys", "/srv/outbox", "data", "sqlite:" + dir + "/data/gatehouse.db"}
	if err != nil || !slices.Equal(got, want) || len(l.Mistakes) > 0 {
		t.Errorf("got %v, want %v, %v, %v", got, want, err, l.Mistakes)
	}
}

func TestListenersThatAreTheSamePlace(t *testing.T) {
	for _, c := range []struct {
		why  string
		a, b string
		same bool
	}{
		{"the same address and port", "127.0.0.1:8080", "127.0.0.1:8080", true},
		{"every address holds one of them", ":8080", "127.0.0.1:8080", true},
		{"every address, written as IPv6", "[::]:8080", "10.0.0.1:8080", true},
		{"two names of loopback", "localhost:8080", "127.0.0.1:8080", true},
		{"another port", "127.0.0.1:8080", "127.0.0.1:9090", false},
		{"another address", "10.0.0.1:8080", "10.0.0.2:8080", false},
		{"ports that the system chooses", "127.0.0.1:0", "127.0.0.1:0", false},
	} {
		if overlap(c.a, c.b) != c.same || overlap(c.b, c.a) != c.same {
			t.Errorf("%s: %s and %s, want %v", c.why, c.a, c.b, c.same)
		}
	}
}

func TestPasswordsInADSNAreNeverShown(t *testing.T) {
	for _, dsn := range []string{
		"postgres://gatehouse:hunter2@db1,db2/gatehouse",
		"postgres://db/gatehouse?user=gatehouse&password=hunter2",
		"postgres://gate house:hunter2@db/x y",
	} {
		if shown := maskDSN(dsn); strings.Contains(shown, "hunter2") {
			t.Errorf("%s is shown as %s", dsn, shown)
		}
	}
}

func TestTheWayToTheDatabaseIsLookedAt(t *testing.T) {
	for dsn, want := range map[string]bool{
		"sqlite:/var/lib/gatehouse/gatehouse.db":                   false,
		"postgres:///gatehouse?host=/run/postgresql":               false,
		"postgres://gatehouse@localhost/gatehouse":                 false,
		"postgres://gatehouse@127.0.0.1:5433,[::1]:5432/gatehouse": false,
		"postgres://gatehouse@db.example.com/gatehouse":            true,
		"postgresql://g:p%40@localhost,db2:5433/gatehouse":         true,
		"postgres://gatehouse@10.1.2.3?sslmode=require":            true,
		"postgres://g@db.example.com/g?sslmode=verify-full":        false,
	} {
		if got := inTheOpen(dsn); got != want {
			t.Errorf("%s in the open: %v", dsn, got)
		}
	}
}
