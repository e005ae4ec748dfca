package gatehouse_test

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The floors of the house (DESIGN §6). A new folder needs a line here: where it
// stands is a decision, not an accident.
var ranks = map[string]int{
	"fault": 0, "id": 0, "proof": 0, "seal": 0, "words": 0,
	"store": 1, "store/pgtemp": 1,
	"events": 2, "peers": 2, "authenticators/argon2id": 2,
	"access": 3, "accounts": 3, "authenticators": 3, "clients": 3, "limits": 3, "outbox": 3, "sessions": 3, "tokens": 3,
	"deliver": 4, "export": 4, "flow": 4, "follow": 4, "hooks": 4, "manage": 4, "notices": 4, "rejoin": 4, "audit": 4, "texts": 4, "webpush": 4,
	"drill":         5,
	"web":           5,
	"cmd/gatehouse": 6,

	"authenticators/softkey": testSupport,
	"store/storetest":        testSupport,
	".":                      testOnly,
	"test":                   testOnly,
	"test/mutate":            testOnly,
	"test/house":             testOnly,
	"test/textprovider":      testOnly,
	"test/stories":           testOnly + 1, // stories stand on the house
}

const (
	testSupport = 7 // imported by tests alone
	testOnly    = 8 // imported by nobody
	doing       = 4 // the one rank that opens transactions
	entry       = 6
)

// ground says what rank 0 may import besides the standard library.
var ground = map[string]string{
	"seal":  "github.com/tink-crypto/tink-go/v2/",
	"words": "github.com/mileusna/useragent", // puts a browser's name into words
}

const module = "gatehouse"

// The house as it stands obeys every rule.
func TestLayout(t *testing.T) {
	house := build(t, os.DirFS("."))
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, complaint := range rule.check(house) {
				t.Error(complaint)
			}
		})
	}
}

// The control of each rule: a small house that breaks it, and only it, must be
// caught at the place where it is broken; the same house mended must pass.
func TestLayoutIsAbleToFail(t *testing.T) {
	for _, c := range controls {
		t.Run(c.name, func(t *testing.T) {
			house := build(t, small(c.files))
			var got []string
			for _, rule := range rules {
				for _, complaint := range rule.check(house) {
					got = append(got, rule.name+": "+complaint)
				}
			}
			if c.want == "" {
				if len(got) > 0 {
					t.Fatalf("nothing is wrong here, yet: %q", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Fatalf("want one complaint with %q, got %q", c.want, got)
			}
		})
	}
	for _, rule := range rules {
		if !slices.ContainsFunc(controls, func(c control) bool { return strings.HasPrefix(c.want, rule.name+": ") }) {
			t.Errorf("the rule %q has no control that it must catch", rule.name)
		}
	}
}

var rules = []struct {
	name  string
	check func(*house) []string
}{
	{"every folder has a rank", everyFolderHasARank},
	{"a package imports only lower ranks", importsOnlyLowerRanks},
	{"a table is spoken to by one package", oneOwnerPerTable},
	{"only rank 4 opens transactions", onlyRank4OpensTransactions},
	{"a package says what it is for", packageDocs},
	{"no init", noInit},
	{"no changing globals", noChangingGlobals},
	{"clock and randomness are arguments", noHiddenInputs},
	{"nothing rides in a context", noContextValues},
	{"tests skip nothing and wait for nothing", honestTests},
	{"browser tests skip nothing and wait for nothing", honestBrowserTests},
}

type control struct {
	name  string
	want  string // "rule: part of the complaint"; "" = nothing is wrong
	files map[string]string
}

var controls = []control{
	{"the small house itself is in order", "", nil},
	{"a folder nobody has placed", "every folder has a rank: util/", map[string]string{
		"util/util.go": "// Package util is a drawer.\npackage util"}},
	{"a package that imports its sibling", "a package imports only lower ranks: limits/limits.go:3: limits (3) imports accounts (3)", map[string]string{
		"limits/limits.go": "// Package limits counts.\npackage limits\nimport _ \"gatehouse/accounts\""}},
	{"a package that imports a higher rank", "a package imports only lower ranks: store/more.go:2: store (1) imports flow (4)", map[string]string{
		"store/more.go": "package store\nimport _ \"gatehouse/flow\""}},
	{"a test that imports a higher rank", "a package imports only lower ranks: accounts/more_test.go:2: accounts (3) imports flow (4)", map[string]string{
		"accounts/more_test.go": "package accounts_test\nimport _ \"gatehouse/flow\""}},
	{"the program importing test support", "a package imports only lower ranks: flow/more.go:2: flow (4) imports store/storetest", map[string]string{
		"flow/more.go": "package flow\nimport _ \"gatehouse/store/storetest\""}},
	{"a test importing test support", "", map[string]string{
		"flow/more_test.go": "package flow_test\nimport _ \"gatehouse/store/storetest\""}},
	{"the ground floor with a library", "a package imports only lower ranks: id/id.go:3: id (0) imports example.org/x", map[string]string{
		"id/id.go": "// Package id names.\npackage id\nimport _ \"example.org/x\""}},
	{"a query on somebody else's table", "a table is spoken to by one package: flow/more.go:2: flow speaks to accounts, which belongs to accounts", map[string]string{
		"flow/more.go": "package flow\nconst q = `SELECT id FROM accounts`"}},
	{"a join with somebody else's table", "a table is spoken to by one package: accounts/more.go:2: accounts speaks to tries, which belongs to limits", map[string]string{
		"accounts/more.go": "package accounts\nconst q = `SELECT 1 FROM links l, tries t`"}},
	{"a table hidden behind a concatenation", "a table is spoken to by one package: flow/more.go:3: flow speaks to links", map[string]string{
		"flow/more.go": "package flow\nconst cols = \"id\"\nvar _ = \"select \" + cols + \" from links where id = $1\""}},
	{"a table whose name cannot be read", "a table is spoken to by one package: accounts/more.go:2: a table's name must stand in the text", map[string]string{
		"accounts/more.go": "package accounts\nfunc q(t string) string { return \"DELETE FROM \" + t }"}},
	{"a column that has the name of a table, and a sentence", "", map[string]string{
		"accounts/more.go": "package accounts\nconst q = `SELECT tries FROM links`\nconst s = \"read from tries\""}},
	{"a table nobody owns", "a table is spoken to by one package: store/schema.go: no package is named above the table stray", map[string]string{
		"store/schema.go": "package store\nconst s = `CREATE TABLE stray (id TEXT);`"}},
	{"rank 3 holding the store", "only rank 4 opens transactions: accounts/more.go:3: accounts (3) names store.Store", map[string]string{
		"accounts/more.go": "package accounts\nimport \"gatehouse/store\"\ntype a struct { s *store.Store }"}},
	{"web holding the store", "only rank 4 opens transactions: web/more.go:3: web (5) names store.Store", map[string]string{
		"web/more.go": "package web\nimport \"gatehouse/store\"\nfunc f(s *store.Store) {}"}},
	{"a package without words", "a package says what it is for: limits/", map[string]string{
		"limits/limits.go": "package limits"}},
	{"a package doc that does not name the package", "a package says what it is for: limits/", map[string]string{
		"limits/limits.go": "// Counts.\npackage limits"}},
	{"an exported thing without words", "a package says what it is for: flow/more.go:2: Submit has no comment", map[string]string{
		"flow/more.go": "package flow\nfunc Submit() {}"}},
	{"a variable of another package that is assigned", "no changing globals: flow/more.go:3: http.DefaultClient is changed", map[string]string{
		"flow/more.go": "package flow\nimport \"net/http\"\nfunc f() { http.DefaultClient = nil }"}},
	{"an init", "no init: flow/more.go:2", map[string]string{
		"flow/more.go": "package flow\nfunc init() {}"}},
	{"a global that is assigned", "no changing globals: flow/more.go:3: seen is changed", map[string]string{
		"flow/more.go": "package flow\nvar seen int\nfunc f() { seen = 2 }"}},
	{"a global of another file that is counted up", "no changing globals: flow/more.go:2: count is changed", map[string]string{
		"flow/more.go": "package flow\nfunc f() { count++ }", "flow/other.go": "package flow\nvar count int"}},
	{"a global map that is filled", "no changing globals: flow/more.go:3: seen is changed", map[string]string{
		"flow/more.go": "package flow\nvar seen = map[string]int{}\nfunc f() { seen[\"a\"] = 1 }"}},
	{"a global map that is emptied", "no changing globals: flow/more.go:3: seen is changed", map[string]string{
		"flow/more.go": "package flow\nvar seen = map[string]int{}\nfunc f() { delete(seen, \"a\") }"}},
	{"a global whose address is handed out", "no changing globals: flow/more.go:3: seen is changed", map[string]string{
		"flow/more.go": "package flow\nvar seen int\nfunc f() *int { return &seen }"}},
	{"a global lock", "no changing globals: flow/more.go:3: mu is a sync.Mutex", map[string]string{
		"flow/more.go": "package flow\nimport \"sync\"\nvar mu sync.Mutex"}},
	{"a local of the same name", "", map[string]string{
		"flow/more.go": "package flow\nvar seen int\nfunc f() { seen := 1; seen = 2; _ = seen }"}},
	{"a package that reads the clock", "clock and randomness are arguments: flow/more.go:3: time.Now", map[string]string{
		"flow/more.go": "package flow\nimport clock \"time\"\nvar t = clock.Now()"}},
	{"a package that hands the clock on", "clock and randomness are arguments: flow/more.go:3: time.Since", map[string]string{
		"flow/more.go": "package flow\nimport \"time\"\nvar since = time.Since"}},
	{"a package that throws dice", "clock and randomness are arguments: flow/more.go:2: imports crypto/rand", map[string]string{
		"flow/more.go": "package flow\nimport _ \"crypto/rand\""}},
	{"the entry point and tests that do both", "", map[string]string{
		"cmd/gatehouse/main.go": "// Command gatehouse is all.\npackage main\nimport (_ \"crypto/rand\"; \"time\")\nvar t = time.Now()",
		"flow/more_test.go":     "package flow\nimport (_ \"crypto/rand\"; \"time\")\nvar t = time.Now()"}},
	{"a value in a context", "nothing rides in a context: web/more.go:3", map[string]string{
		"web/more.go": "package web\nimport \"context\"\nvar f = context.WithValue"}},
	{"a test that is skipped", "tests skip nothing and wait for nothing: flow/more_test.go:3: Skip", map[string]string{
		"flow/more_test.go": "package flow\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }"}},
	{"a test that is skipped when short", "tests skip nothing and wait for nothing: flow/more_test.go:3: testing.Short", map[string]string{
		"flow/more_test.go": "package flow\nimport \"testing\"\nfunc TestX(t *testing.T) { if testing.Short() { return } }"}},
	{"a test that sleeps", "tests skip nothing and wait for nothing: flow/more_test.go:3: time.Sleep", map[string]string{
		"flow/more_test.go": "package flow\nimport (\"testing\"; \"time\")\nfunc TestX(t *testing.T) { time.Sleep(1) }"}},
	{"a test that sleeps on the clock of synctest", "", map[string]string{
		"flow/more_test.go": "package flow\nimport (\"testing\"; \"testing/synctest\"; \"time\")\nfunc TestX(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }"}},
	{"a test hidden behind a build tag", "tests skip nothing and wait for nothing: flow/more_test.go:1: built only with slow", map[string]string{
		"flow/more_test.go": "//go:build slow\n\npackage flow"}},
	{"a browser test that is skipped", "browser tests skip nothing and wait for nothing: test/browser/a.test.mjs:2", map[string]string{
		"test/browser/a.test.mjs": "import test from 'node:test'\ntest.skip('x', () => {})"}},
	{"a browser test that waits for the clock", "browser tests skip nothing and wait for nothing: test/browser/a.test.mjs:1", map[string]string{
		"test/browser/a.test.mjs": "await page.waitForTimeout(500)"}},
}

// small is a house in order; more lays files over it.
func small(more map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	lay := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	lay("id/id.go", "// Package id names.\npackage id")
	lay("store/store.go", "// Package store keeps.\npackage store\n// Store is it.\ntype Store struct{}")
	lay("store/schema.go", "package store\nconst schema = `\n-- accounts\nCREATE TABLE accounts (id TEXT);\nCREATE TABLE links (id TEXT);\n-- limits\nCREATE TABLE tries (key TEXT);`")
	lay("store/storetest/s.go", "// Package storetest lends.\npackage storetest\nimport _ \"gatehouse/store\"")
	lay("accounts/accounts.go", "// Package accounts knows.\npackage accounts\nimport _ \"gatehouse/store\"\nconst q = `SELECT 1 FROM accounts JOIN links ON 1=1`")
	lay("limits/limits.go", "// Package limits counts.\npackage limits")
	lay("flow/flow.go", "// Package flow does.\npackage flow\nimport (_ \"gatehouse/accounts\"; \"gatehouse/store\")\ntype f struct{ s *store.Store }")
	lay("web/web.go", "// Package web shows.\npackage web\nimport _ \"gatehouse/flow\"")
	for name, text := range more {
		lay(name, text)
	}
	return files
}

// ---- reading the house ----

type house struct {
	tree     fs.FS
	fset     *token.FileSet
	packages []*folder
	tables   map[string]string // table → owner
}

// A folder is one package directory with its tests.
type folder struct {
	name  string // from the root: "store/storetest"
	files []*file
	info  *types.Info // of the package and, apart, its external test
}

type file struct {
	name string
	test bool
	*ast.File
}

func build(t *testing.T, tree fs.FS) *house {
	t.Helper()
	h := &house{tree: tree, fset: token.NewFileSet()}
	byDir := map[string]*folder{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(tree, name, d)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(h.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = &folder{name: dir}
			h.packages = append(h.packages, byDir[dir])
		}
		byDir[dir].files = append(byDir[dir].files, &file{name, strings.HasSuffix(name, "_test.go"), parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range h.packages {
		p.resolve(h.fset)
	}
	h.tables = h.owners()
	return h
}

// skipFolder leaves out what is not of this module: hidden folders, npm's, and
// folders with a go.mod of their own.
func skipFolder(tree fs.FS, name string, d fs.DirEntry) error {
	if name == "." {
		return nil
	}
	if strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// resolve finds out what each identifier means within its package. Imports are
// not read, so what comes from them stays unknown: enough for these rules, and
// it takes milliseconds.
func (p *folder) resolve(fset *token.FileSet) {
	p.info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	byPackage := map[string][]*ast.File{}
	for _, f := range p.files {
		byPackage[f.Name.Name] = append(byPackage[f.Name.Name], f.File)
	}
	config := types.Config{Importer: nobody{}, Error: func(error) {}}
	for _, files := range byPackage {
		_, _ = config.Check(p.name, fset, files, p.info) // its complaints are about what we did not import
	}
}

type nobody struct{}

func (nobody) Import(name string) (*types.Package, error) {
	base := path.Base(name)
	if regexp.MustCompile(`^v\d+$`).MatchString(base) {
		base = path.Base(path.Dir(name))
	}
	imported := types.NewPackage(name, base)
	imported.MarkComplete()
	return imported, nil
}

func (h *house) at(n ast.Node) string {
	p := h.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// drill says whether a file is only in builds for drills, which nobody releases.
func (f *file) drill() bool { return f.onlyWith() == "drill" }

// product walks the files that end up in the program, with the folder of each.
func (h *house) product(visit func(*folder, *file)) {
	for _, p := range h.packages {
		for _, f := range p.files {
			if !f.test && ranks[p.name] <= entry {
				visit(p, f)
			}
		}
	}
}

// imported gives "time", "Now" for time.Now, whatever the file calls package time.
func (p *folder) imported(e ast.Expr) (pkg, name string) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	if named, ok := p.info.Uses[x].(*types.PkgName); ok {
		return named.Imported().Path(), sel.Sel.Name
	}
	return "", ""
}

// ---- the rules ----

func everyFolderHasARank(h *house) (complaints []string) {
	for _, p := range h.packages {
		if _, placed := ranks[p.name]; !placed {
			complaints = append(complaints, p.name+"/ has no rank: place it in layout_test.go")
		}
	}
	return complaints
}

func importsOnlyLowerRanks(h *house) (complaints []string) {
	for _, p := range h.packages {
		for _, f := range p.files {
			for _, spec := range f.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if wrong := mayNotImport(p.name, f.test, imported); wrong != "" {
					complaints = append(complaints, h.at(spec)+": "+wrong)
				}
			}
		}
	}
	return complaints
}

func mayNotImport(importer string, test bool, imported string) string {
	mine, placed := ranks[importer]
	if !placed {
		return "" // said already
	}
	to, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		library := strings.Contains(strings.Split(imported, "/")[0], ".")
		if mine == 0 && library && !test && (ground[importer] == "" || !strings.HasPrefix(imported, ground[importer])) {
			return fmt.Sprintf("%s (0) imports %s: the ground floor stands on the standard library", importer, imported)
		}
		return ""
	}
	theirs, placed := ranks[to]
	switch {
	case !placed:
		return fmt.Sprintf("%s imports %s, which has no rank", importer, to)
	case theirs == testSupport && (test || mine == testOnly) && mine > ranks["store"]:
		return ""
	case theirs == testSupport:
		if mine == ranks["store"] && test {
			return "" // the store's own outside tests may use what they lend to others
		}
		return fmt.Sprintf("%s (%d) imports %s, which is for tests alone", importer, mine, to)
	case test && to == importer: // the outside test of a package
		return ""
	case mine == testSupport && theirs <= ranks["store"], theirs < mine && mine != testSupport:
		return ""
	}
	return fmt.Sprintf("%s (%d) imports %s (%d)", importer, mine, to, theirs)
}

var (
	ownerLine   = regexp.MustCompile(`(?m)^-- ([a-z]+)$`)
	createTable = regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
)

// owners reads the schema: a line "-- package" names the owner of the tables below it.
func (h *house) owners() map[string]string {
	tables := map[string]string{}
	text, _ := fs.ReadFile(h.tree, "store/schema.go") // missing = no tables, which the rule reports
	owner := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := ownerLine.FindStringSubmatch(line); m != nil {
			owner = m[1]
		}
		for _, m := range createTable.FindAllStringSubmatch(line, -1) {
			tables[m[1]] = owner
		}
		if strings.Contains(line, "`") {
			owner = "" // a text has ended or begun: an owner does not carry over
		}
	}
	return tables
}

func oneOwnerPerTable(h *house) (complaints []string) {
	for table, owner := range h.tables {
		if _, placed := ranks[owner]; !placed {
			complaints = append(complaints, "store/schema.go: no package is named above the table "+table)
		}
	}
	if len(h.tables) == 0 {
		complaints = append(complaints, "store/schema.go: no table was found")
	}
	h.product(func(p *folder, f *file) {
		if p.name == "store" {
			return // it copies tables and holds the schema
		}
		for at, text := range texts(f) {
			for _, table := range spokenTo(text) {
				owner, ours := h.tables[table]
				switch {
				case table == unreadable:
					complaints = append(complaints, h.at(at)+": a table's name must stand in the text")
				case ours && owner != p.name:
					complaints = append(complaints, fmt.Sprintf("%s: %s speaks to %s, which belongs to %s", h.at(at), p.name, table, owner))
				}
			}
		}
	})
	slices.Sort(complaints)
	return complaints
}

const unreadable = "\x00"

// texts gives each string literal of a file; one that is put together with + is
// one text, with a mark where something other than a literal stands.
func texts(f *file) map[ast.Node]string {
	found := map[ast.Node]string{}
	var text func(e ast.Expr) string
	text = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
				return s
			}
		case *ast.ParenExpr:
			return text(e.X)
		case *ast.BinaryExpr:
			if e.Op == token.ADD {
				return text(e.X) + text(e.Y)
			}
		}
		return unreadable
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BinaryExpr:
			if n.Op == token.ADD {
				found[n] = text(n)
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				found[n] = text(n)
			}
		}
		return true
	})
	return found
}

var (
	statementStart = regexp.MustCompile(`(?i)^\s*(?:select|insert into|update|delete from|with)\s`)
	shouted        = regexp.MustCompile(`\b(?:SELECT|INSERT|UPDATE|DELETE|FROM|JOIN)\b`)
	speaks         = regexp.MustCompile(`(?is)\b(?:from|join|into|update|using|table|references)\s+([\w\x00%]+(?:\s+(?:as\s+)?\w+)?(?:\s*,\s*[\w\x00%]+(?:\s+(?:as\s+)?\w+)?)*)`)
	notTables      = []string{"of", "set", "skip", "nowait", "only", "lateral"}
)

// spokenTo lists the tables a text of SQL speaks to. A text counts as SQL when it
// begins like a statement or shouts one of its words.
func spokenTo(text string) (tables []string) {
	if !shouted.MatchString(text) && !statementStart.MatchString(text) {
		return nil
	}
	for _, m := range speaks.FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Split(m[1], ",") {
			name = strings.ToLower(strings.Fields(name)[0])
			switch {
			case strings.HasPrefix(name, unreadable), strings.HasPrefix(name, "%"):
				tables = append(tables, unreadable)
			case !slices.Contains(notTables, name):
				tables = append(tables, name)
			}
		}
	}
	return tables
}

func onlyRank4OpensTransactions(h *house) (complaints []string) {
	h.product(func(p *folder, f *file) {
		rank := ranks[p.name]
		if rank == doing || rank == entry || p.name == "store" {
			return
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if pkg, name := p.imported(e); pkg == module+"/store" && (name == "Store" || name == "Open") {
					complaints = append(complaints, fmt.Sprintf("%s: %s (%d) names store.%s: take a *store.Tx", h.at(n), p.name, rank, name))
				}
			}
			return true
		})
	})
	return complaints
}

func packageDocs(h *house) (complaints []string) {
	for _, p := range h.packages {
		said, code := false, false
		for _, f := range p.files {
			if f.test {
				continue
			}
			code = true
			want := "Package " + f.Name.Name + " "
			if f.Name.Name == "main" {
				want = "Command " + path.Base(p.name) + " "
			}
			said = said || f.Doc != nil && strings.HasPrefix(f.Doc.Text(), want)
		}
		if code && !said {
			complaints = append(complaints, p.name+"/ has no package comment that says what it is for")
		}
	}
	h.product(func(_ *folder, f *file) {
		for _, name := range unspoken(f) {
			complaints = append(complaints, fmt.Sprintf("%s: %s has no comment", h.at(name), name.Name))
		}
	})
	return complaints
}

// unspoken gives the exported names of a file that no comment explains. In a
// group of values one comment above it serves all, and so does that of their type.
func unspoken(f *file) (names []*ast.Ident) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && !wellKnown(f, d) {
				names = append(names, d.Name)
			}
		case *ast.GenDecl:
			if d.Doc != nil && (d.Tok != token.TYPE || !d.Lparen.IsValid()) {
				continue
			}
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
						names = append(names, s.Name)
					}
				case *ast.ValueSpec:
					if s.Names[0].IsExported() && s.Doc == nil && s.Comment == nil && s.Type == nil {
						names = append(names, s.Names[0])
					}
				}
			}
		}
	}
	return names
}

// wellKnown are methods that the standard library has explained already (and, for
// commands, the library of the command line), and methods of types that nobody
// outside can name.
func wellKnown(f *file, d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	if f.Name.Name == "main" && slices.Contains([]string{"Run", "Validate", "Help", "AfterApply", "Decode"}, d.Name.Name) {
		return true
	}
	switch d.Name.Name {
	case "String", "GoString", "Error", "Unwrap", "Is", "LogValue", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Format", "ServeHTTP", "Close", "Len", "Less", "Swap", "Write", "Read":
		return true
	}
	of := d.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	name, ok := of.(*ast.Ident)
	return ok && !name.IsExported()
}

func noInit(h *house) (complaints []string) {
	for _, p := range h.packages {
		for _, f := range p.files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					complaints = append(complaints, h.at(fn)+": write what must happen where it is called")
				}
			}
		}
	}
	return complaints
}

func noChangingGlobals(h *house) (complaints []string) {
	h.product(func(p *folder, f *file) {
		if f.drill() {
			return // the moved clock
		}
		complain := func(n ast.Node, e ast.Expr) {
			if name, global := p.global(e); global {
				complaints = append(complaints, fmt.Sprintf("%s: %s is changed", h.at(n), name))
			}
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					complain(n, left)
				}
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					complain(n, n.Key)
					complain(n, n.Value)
				}
			case *ast.IncDecStmt:
				complain(n, n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					complain(n, n.X)
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, fn.Name) {
					complain(n, n.Args[0])
				}
			}
			return true
		})
		complaints = append(complaints, h.restless(p, f)...)
	})
	return complaints
}

// global says whether changing e changes a variable of the package.
func (p *folder) global(e ast.Expr) (string, bool) {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			if pkg, name := p.imported(x); pkg != "" {
				return path.Base(pkg) + "." + name, true // of another package
			}
			e = x.X
		case *ast.Ident:
			v, ok := p.info.Uses[x].(*types.Var)
			return x.Name, ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
		default:
			return "", false
		}
	}
}

// restless are globals that change by their nature: locks, counters, pools.
func (h *house) restless(p *folder, f *file) (complaints []string) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			s := spec.(*ast.ValueSpec)
			kind := s.Type
			if kind == nil && len(s.Values) > 0 {
				kind = literalType(s.Values[0])
			}
			if generic, ok := kind.(*ast.IndexExpr); ok {
				kind = generic.X
			}
			if pkg, name := p.imported(kind); pkg == "sync" && token.IsExported(name) || pkg == "sync/atomic" {
				complaints = append(complaints, fmt.Sprintf("%s: %s is a %s.%s", h.at(s), s.Names[0].Name, path.Base(pkg), name))
			}
		}
	}
	return complaints
}

func literalType(e ast.Expr) ast.Expr {
	if u, ok := e.(*ast.UnaryExpr); ok {
		e = u.X
	}
	if lit, ok := e.(*ast.CompositeLit); ok {
		return lit.Type
	}
	return nil
}

func noHiddenInputs(h *house) (complaints []string) {
	h.product(func(p *folder, f *file) {
		if ranks[p.name] == entry {
			return
		}
		for _, spec := range f.Imports {
			if name, _ := strconv.Unquote(spec.Path.Value); slices.Contains([]string{"math/rand", "math/rand/v2", "crypto/rand"}, name) {
				complaints = append(complaints, h.at(spec)+": imports "+name)
			}
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if pkg, name := p.imported(e); pkg == "time" && slices.Contains([]string{"Now", "Since", "Until"}, name) {
					complaints = append(complaints, h.at(n)+": time."+name)
				}
			}
			return true
		})
	})
	return complaints
}

func noContextValues(h *house) (complaints []string) {
	h.product(func(p *folder, f *file) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if pkg, name := p.imported(e); pkg == "context" && name == "WithValue" {
					complaints = append(complaints, h.at(n)+": who asks, the clock and the transaction are arguments")
				}
			}
			return true
		})
	})
	return complaints
}

func honestTests(h *house) (complaints []string) {
	for _, p := range h.packages {
		for _, f := range p.files {
			if !f.test && ranks[p.name] < testSupport {
				continue
			}
			complaints = append(complaints, h.dishonest(p, f)...)
		}
	}
	return complaints
}

func (h *house) dishonest(p *folder, f *file) (complaints []string) {
	if tag := f.onlyWith(); tag != "" && tag != "race" && tag != "!race" {
		complaints = append(complaints, f.name+":1: built only with "+tag)
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if pkg, name := p.imported(n.Fun); pkg == "testing/synctest" && name == "Test" {
				return false // its clock is not the world's, and nothing is skipped by waiting
			}
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				complaints = append(complaints, h.at(n)+": "+sel.Sel.Name)
			}
		case *ast.SelectorExpr:
			pkg, name := p.imported(n)
			if full := path.Base(pkg) + "." + name; full == "testing.Short" || full == "time.Sleep" {
				complaints = append(complaints, h.at(n)+": "+full)
			}
		}
		return true
	})
	return complaints
}

// onlyWith is the build constraint of a file, "" for none.
func (f *file) onlyWith() string {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil && constraint.IsGoBuild(c.Text) {
				return expr.String()
			}
		}
	}
	return ""
}

var dishonestScript = regexp.MustCompile(`\b(?:test|it|describe|t|suite)\.(?:skip|todo|only)\(|\b(?:skip|todo|only):|waitForTimeout|--test-only|\bsetTimeout\(\s*(?:r|resolve|ok|done)\b`)

func honestBrowserTests(h *house) (complaints []string) {
	names, _ := fs.Glob(h.tree, "test/browser/*.mjs")
	for _, name := range names {
		text, err := fs.ReadFile(h.tree, name)
		if err != nil {
			return append(complaints, err.Error())
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if found := dishonestScript.FindString(line); found != "" {
				complaints = append(complaints, fmt.Sprintf("%s:%d: %s", name, number, found))
			}
		}
	}
	return complaints
}
