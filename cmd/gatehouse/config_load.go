package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// A setting is one field of Settings with its tags read.
type setting struct {
	key, env, flag       string // flag is "" when there is none
	kind, fallback, span string
	oneof                []string
	must                 bool
	example, why         string
	section              string
	index                int // of the field
}

// settings lists every setting in the order of the struct.
func settings() []setting {
	t := reflect.TypeFor[Settings]()
	list := make([]setting, t.NumField())
	for i := range list {
		tag := t.Field(i).Tag
		s := setting{key: tag.Get("key"), kind: tag.Get("kind"), fallback: tag.Get("default"), span: tag.Get("range"),
			example: tag.Get("example"), why: tag.Get("why"), section: tag.Get("section"), index: i}
		s.env = "GATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
		if _, yes := tag.Lookup("flag"); yes {
			s.flag = strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
		}
		if words := tag.Get("oneof"); words != "" {
			s.oneof = strings.Split(words, ",")
		}
		_, s.must = tag.Lookup("must")
		list[i] = s
	}
	return list
}

// Where says where a value was written.
type Where struct {
	File         string // the configuration file, when it stands there
	Line, Column int    // counted from 1
	Name         string // else the variable or the flag
}

func (w Where) String() string {
	if w.File != "" {
		return fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column)
	}
	return w.Name
}

// Mistake is one thing that is wrong and what to do about it.
type Mistake struct {
	Where   Where
	Message string
}

func (m Mistake) String() string { return m.Where.String() + ": " + m.Message }

// Loaded is the outcome of reading the configuration.
type Loaded struct {
	Settings
	File     string           // "" when there is none
	From     map[string]Where // by key; a key that is not there has its default
	Mistakes []Mistake
	Warnings []Mistake
	broken   map[string]bool // keys whose value was refused

	unreadable bool // the file could not be read, so nothing is known to be missing
}

func (l *Loaded) mistake(at Where, format string, args ...any) {
	l.Mistakes = append(l.Mistakes, Mistake{at, fmt.Sprintf(format, args...)})
}

// wrong reports a mistake at the place where key was written.
func (l *Loaded) wrong(key, format string, args ...any) {
	l.mistake(l.whereIs(key), format, args...)
}

func (l *Loaded) warn(key, format string, args ...any) {
	l.Warnings = append(l.Warnings, Mistake{l.whereIs(key), fmt.Sprintf(format, args...)})
}

// whereIs gives a setting nobody wrote the top of the file, where it could be
// added, or its variable's name when there is no file.
func (l *Loaded) whereIs(key string) Where {
	if at, ok := l.From[key]; ok {
		return at
	}
	if l.File != "" {
		return Where{File: l.File, Line: 1, Column: 1}
	}
	for _, s := range settings() {
		if s.key == key {
			return Where{Name: s.env}
		}
	}
	return Where{Name: key}
}

// load reads the file (none when path is ""), then the environment, then the
// flags, and finds every mistake that can be seen without touching other files.
func load(path string, environ []string, flags map[string]string) *Loaded {
	l := &Loaded{File: path, From: map[string]Where{}, broken: map[string]bool{}}
	l.readDefaults()
	l.readFile()
	l.readEnvironment(environ)
	l.readFlags(flags)
	if !l.unreadable {
		l.crossCheck()
	}
	slices.SortStableFunc(l.Mistakes, byPlace)
	slices.SortStableFunc(l.Warnings, byPlace)
	return l
}

func byPlace(a, b Mistake) int {
	if (a.Where.File == "") != (b.Where.File == "") {
		return strings.Compare(b.Where.File, a.Where.File) // the file's mistakes come first
	}
	if a.Where.Line != b.Where.Line {
		return a.Where.Line - b.Where.Line
	}
	return a.Where.Column - b.Where.Column
}

func (l *Loaded) readDefaults() {
	for _, s := range settings() {
		if s.fallback == "" {
			continue
		}
		if err := l.set(s, []string{s.fallback}); err != nil {
			panic("config.go: default of " + s.key + ": " + err.Error()) // a test reads every default
		}
	}
}

func (l *Loaded) readFlags(flags map[string]string) {
	for _, s := range settings() {
		text, given := flags[s.flag]
		if s.flag == "" || !given {
			continue
		}
		l.take(s, Where{Name: "--" + s.flag}, splitList(text))
	}
}

// ours are GATEHOUSE_ variables that are not settings: what main reads, and what
// our own tests read.
var ours = []string{"GATEHOUSE_CONFIG", "GATEHOUSE_BIN", "GATEHOUSE_DRILL_BIN", "GATEHOUSE_GALLERY", "GATEHOUSE_TEST_POSTGRES"}

// injected are the variables that Kubernetes and Docker links set for a service
// called gatehouse: nobody wrote them, and no setting begins like them.
var injected = regexp.MustCompile(`^GATEHOUSE_(SERVICE_(HOST|PORT)|PORT$|PORT_[0-9]|NAME$)`)

// readEnvironment takes an empty variable as one that is not set, as shells,
// compose files and unit files cannot easily unset one.
func (l *Loaded) readEnvironment(environ []string) {
	byEnv := map[string]setting{}
	names := slices.Clone(ours)
	for _, s := range settings() {
		byEnv[s.env] = s
		names = append(names, s.env)
	}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "GATEHOUSE_") || slices.Contains(ours, name) || injected.MatchString(name) || text == "" {
			continue
		}
		s, known := byEnv[name]
		if !known {
			l.mistake(Where{Name: name}, "no setting has this variable%s", didYouMean(name, names))
			continue
		}
		l.take(s, Where{Name: name}, splitList(text))
	}
}

func splitList(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return []string{""}
	}
	return parts
}

// take sets a value and remembers where it came from, or says what is wrong with it.
func (l *Loaded) take(s setting, at Where, texts []string) {
	l.From[s.key] = at
	if !l.isList(s) {
		texts = []string{strings.Join(texts, ",")}
	}
	if isPath(s) {
		texts = []string{l.resolve(texts[0], at)}
	}
	before := reflect.New(l.field(s).Type()).Elem()
	before.Set(l.field(s))
	if err := l.set(s, texts); err != nil {
		l.field(s).Set(before) // so that the cross-checks do not complain a second time
		l.broken[s.key] = true
		l.mistake(at, "%s: %v", s.key, err)
	}
}

// maxFile bounds the configuration file: ours is two screens.
const maxFile = 1 << 20

func (l *Loaded) readFile() {
	if l.File == "" {
		return
	}
	text, err := readBounded(l.File, maxFile)
	if err != nil {
		l.unreadable = true
		l.mistake(Where{Name: l.File}, "%v", err)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return
	} else if err != nil {
		l.unreadable = true
		l.syntaxError(text, err)
		return
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return
	}
	l.readMapping("", root)
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		l.mistake(l.at(&more), "a second document begins here; keep one, without ---")
	}
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no such file; check the path after --config")
	}
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, reason(err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes; is it the right file?", limit)
	}
	return text, nil
}

// reason strips the operation and path that the message names already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (l *Loaded) at(n *yaml.Node) Where { return Where{File: l.File, Line: n.Line, Column: n.Column} }

// maxSyntaxLines bounds the search for the line of a syntax error.
const maxSyntaxLines = 2000

// syntaxError says where the file stops being YAML. The parser's own line is
// often one off or that of an outer construct, so the place is searched: it is
// the line after the longest beginning that still parses.
func (l *Loaded) syntaxError(text []byte, err error) {
	complaint := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(complaint, "line "); ok {
		_, complaint, _ = strings.Cut(rest, ": ")
	}
	at := Where{File: l.File, Line: 1, Column: 1}
	lines := strings.SplitAfter(string(text), "\n")
	for n := min(len(lines), maxSyntaxLines) - 1; n > 0; n-- {
		if yaml.Unmarshal([]byte(strings.Join(lines[:n], "")), new(yaml.Node)) == nil {
			at.Line = n + 1
			break
		}
	}
	line := lines[at.Line-1]
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if i := strings.IndexByte(indent, '\t'); i >= 0 {
		at.Column = i + 1
		l.mistake(at, "this line is indented with a tab; YAML allows only spaces")
		return
	}
	at.Column = len(indent) + 1
	l.mistake(at, "this is not YAML from here on: %s", complaint)
}

func (l *Loaded) readMapping(prefix string, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		l.mistake(l.at(node), "%s: expected settings, one a line as key: value, and found %s", strings.TrimSuffix(prefix, "."), describe(node))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := prefix + name.Value
		if line, twice := seen[key]; twice {
			l.mistake(l.at(name), "%s stands here and in line %d; keep one", key, line)
			continue
		}
		seen[key] = name.Line
		l.readEntry(key, name, value)
	}
}

func (l *Loaded) readEntry(key string, name, value *yaml.Node) {
	list := settings()
	if i := slices.IndexFunc(list, func(s setting) bool { return s.key == key }); i >= 0 {
		l.readValue(list[i], value)
		return
	}
	if slices.ContainsFunc(list, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }) {
		if value.Tag == "!!null" {
			return // a section whose lines are all commented out
		}
		l.readMapping(key+".", value)
		return
	}
	l.mistake(l.at(name), "%s is not a setting%s", key, didYouMean(key, keys(list)))
}

func keys(list []setting) []string {
	var names []string
	for _, s := range list {
		names = append(names, s.key)
	}
	return names
}

func (l *Loaded) readValue(s setting, value *yaml.Node) {
	at := l.at(value)
	switch {
	case value.Kind == yaml.SequenceNode && l.isList(s):
		l.readSequence(s, value)
	case value.Kind != yaml.ScalarNode:
		l.mistake(at, "%s: expected one value and found %s", s.key, describe(value))
	case value.Tag == "!!null":
		l.mistake(at, "%s has no value; write one, or take the line out%s", s.key, otherwise(s))
	case l.isList(s):
		l.take(s, at, splitList(value.Value))
	default:
		l.take(s, at, []string{value.Value})
	}
}

func otherwise(s setting) string {
	if s.fallback == "" {
		return ""
	}
	return " to have " + s.fallback
}

// readSequence judges each item at its own place.
func (l *Loaded) readSequence(s setting, value *yaml.Node) {
	var texts []string
	for _, item := range value.Content {
		if item.Kind != yaml.ScalarNode {
			l.mistake(l.at(item), "%s: expected one value and found %s", s.key, describe(item))
			continue
		}
		if err := l.set(s, []string{item.Value}); err != nil {
			l.broken[s.key] = true
			l.mistake(l.at(item), "%s: %v", s.key, err)
			continue
		}
		texts = append(texts, item.Value)
	}
	l.take(s, l.at(value), texts)
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "indented settings"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "a YAML alias (*" + n.Value + "); write the value out"
	}
	return strconv.Quote(n.Value)
}

// flagValues are the settings that can be given as flags, as a struct kong can fill.
type flagValues struct{ fields reflect.Value }

func newFlagValues() *flagValues {
	var fields []reflect.StructField
	t := reflect.TypeFor[Settings]()
	for _, s := range settings() {
		if s.flag == "" {
			continue
		}
		help := firstSentence(s.why)
		fields = append(fields, reflect.StructField{
			Name: t.Field(s.index).Name, Type: reflect.TypeFor[*string](),
			Tag: reflect.StructTag(fmt.Sprintf(`name:%q help:%q placeholder:%q group:"Settings"`, s.flag, help, strings.ToUpper(cmp.Or(s.kind, "value")))),
		})
	}
	return &flagValues{reflect.New(reflect.StructOf(fields))}
}

func (f *flagValues) plugin() kong.Plugins { return kong.Plugins{f.fields.Interface()} }

// given maps the flags on the command line to their texts.
func (f *flagValues) given() map[string]string {
	texts := map[string]string{}
	v := f.fields.Elem()
	for i := range v.NumField() {
		if text := v.Field(i).Interface().(*string); text != nil {
			name := v.Type().Field(i).Tag.Get("name")
			texts[name] = *text
		}
	}
	return texts
}

func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".") + "."
}
