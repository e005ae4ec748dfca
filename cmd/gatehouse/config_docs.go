package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// dsn is the database to open, from whichever setting holds it.
func (l *Loaded) dsn() (string, error) {
	switch {
	case l.DSNFile != "":
		text, err := readSecret(l.DSNFile)
		if err != nil {
			return "", err
		}
		if judgeDSN(text.Reveal()) != nil {
			return "", fmt.Errorf("%s does not hold a DSN; write sqlite:/path/file.db or postgres://user:password@host/name into it", l.DSNFile)
		}
		return text.Reveal(), nil
	case l.DSN != "":
		if path, ok := strings.CutPrefix(l.DSN, "sqlite:"); ok {
			return "sqlite:" + l.resolve(path, l.From["database.dsn"]), nil
		}
		return l.DSN, nil
	}
	return "sqlite:" + l.DataDir + "/gatehouse.db", nil
}

// printEffective writes every setting as it will be used, with where it was
// written, in a form that can be used as a file again. Passwords are masked.
func (l *Loaded) printEffective(w io.Writer) {
	writeTree(w, func(s setting) (line, note string) {
		from := "default"
		if at, ok := l.From[s.key]; ok {
			from = at.String()
		}
		return quoteYAML(l.shown(s)), from
	}, nil)
}

func (l *Loaded) shown(s setting) string {
	if s.kind == "dsn" {
		return maskDSN(l.DSN)
	}
	return show(l.field(s).Interface())
}

func maskDSN(dsn string) string {
	if strings.HasPrefix(dsn, "sqlite:") || dsn == "" {
		return dsn
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "(masked)"
	}
	for name := range u.Query() {
		if strings.Contains(strings.ToLower(name), "password") {
			return "(masked)"
		}
	}
	return u.Redacted()
}

func quoteYAML(text string) string {
	if text == "" {
		return `""`
	}
	if strings.ContainsAny(text[:1], "!&*?|>%@`'\"#{") || strings.Contains(text, ": ") || strings.Contains(text, " #") {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// writeTree writes all settings as YAML; say gives each its value and a note
// behind it, comment (may be nil) the lines above it.
func writeTree(w io.Writer, say func(setting) (value, note string), comment func(s setting, indent string) string) {
	group := ""
	for _, s := range settings() {
		name, indent := s.key, ""
		first, rest, nested := strings.Cut(s.key, ".")
		if !nested {
			group = ""
		} else {
			name, indent = rest, "  "
		}
		if comment != nil && s.section != "" {
			fmt.Fprintf(w, "\n# ---- %s ----\n", s.section)
		}
		if nested && group != first {
			group = first
			fmt.Fprintf(w, "%s:\n", first)
		}
		if comment != nil {
			fmt.Fprint(w, comment(s, indent))
		}
		value, note := say(s)
		fmt.Fprintf(w, "%s%s: %s  # %s\n", indent, name, value, note)
	}
}

// printExample writes the file that deploy/gatehouse.example.yaml must equal:
// every setting with its variable; those with a default are commented out.
func printExample(w io.Writer) {
	fmt.Fprint(w, `# Every setting of Gatehouse, made by: gatehouse config example
# A setting behind # has its default; take the # away, and the one before its
# section, to change it. A first installation must look at the others. Check with:
#   gatehouse config check --config FILE
`)
	var body strings.Builder
	writeTree(&body, exampleLine, func(s setting, indent string) string {
		return "\n" + wrap(s.why, indent+"# ", 88)
	})
	fmt.Fprint(w, commentOut(body.String()))
}

func exampleLine(s setting) (value, note string) {
	value = cmp.Or(s.example, s.fallback)
	note = s.env
	if s.span != "" {
		note += ", " + spanWords(s)
	}
	if s.oneof != nil {
		note += ", " + strings.Join(s.oneof, " | ")
	}
	return quoteYAML(value), note
}

// inExample are the settings a first installation must look at.
var inExample = map[string]bool{"origin": true, "trusted_proxies": true, "mail.host": true, "mail.from": true, "security.contact": true}

// commentOut puts # before every line of a setting that can stay as it is, and
// before section names under which nothing is left.
func commentOut(tree string) string {
	lines := strings.Split(tree, "\n")
	group, groupLine := "", -1
	for i, line := range lines {
		name, _, isKey := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case !isKey || strings.HasPrefix(name, "#"):
		case !strings.HasPrefix(line, " ") && strings.HasSuffix(line, ":"):
			group, groupLine = name, i
			lines[i] = "#" + line
		case strings.HasPrefix(line, "  "):
			if inExample[group+"."+name] {
				lines[groupLine] = strings.TrimPrefix(lines[groupLine], "#")
			} else {
				lines[i] = "  #" + strings.TrimPrefix(line, "  ")
			}
		case !inExample[name]:
			lines[i] = "#" + line
		}
	}
	return strings.Join(lines, "\n")
}

// wrap folds a text to lines of at most width letters, each with the prefix.
func wrap(text, prefix string, width int) string {
	var out strings.Builder
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word)+1 > width && line != prefix {
			out.WriteString(strings.TrimRight(line, " ") + "\n")
			line = prefix
		}
		line += word + " "
	}
	out.WriteString(strings.TrimRight(line, " ") + "\n")
	return out.String()
}

// printMarkdown writes docs/configuration.md.
func printMarkdown(w io.Writer) {
	fmt.Fprint(w, `# Configuration

<!-- Made by: go run ./cmd/gatehouse config docs > docs/configuration.md. Edit cmd/gatehouse/config.go instead. -->

Gatehouse reads one YAML file (`+"`--config FILE`"+`, or the variable `+"`GATEHOUSE_CONFIG`"+`; otherwise
`+"`/etc/gatehouse/gatehouse.yaml`"+` if it is there), then the environment, then flags. **A flag beats the
environment, the environment beats the file.** A dot in a name is one level of indentation:
`+"`sessions.idle`"+` is `+"`idle:`"+` under `+"`sessions:`"+`, and the variable `+"`GATEHOUSE_SESSIONS_IDLE`"+`.

* Times are written `+"`90s`, `15m`, `12h`, `30d`"+`. Lists are written `+"`[a, b]`"+`, in variables `+"`a,b`"+`.
* Secrets are never settings: a setting that ends in `+"`_file`"+` names the file that holds one. Such a file must not be readable by everybody (`+"`chmod 600`"+`).
* Relative paths in the file are relative to the folder of that file.
* `+"`gatehouse config check`"+` names every mistake at once as file:line:column and exits with 2;
  `+"`--print-effective`"+` shows what will be used and where each value was written, passwords masked.
* [deploy/gatehouse.example.yaml](../deploy/gatehouse.example.yaml) has them all, ready to copy.
`)
	for _, s := range settings() {
		if s.section != "" {
			fmt.Fprintf(w, "\n## %s\n\n| Setting | Default | Allowed | What it decides |\n|---|---|---|---|\n", s.section)
		}
		fmt.Fprintf(w, "| `%s`%s | %s | %s | %s |\n", s.key, flagNote(s), defaultNote(s), allowedNote(s), strings.ReplaceAll(s.why, "|", "\\|"))
	}
}

func flagNote(s setting) string {
	if s.flag == "" {
		return ""
	}
	return "<br>`--" + s.flag + "`"
}

func defaultNote(s setting) string {
	switch {
	case s.must:
		return "**must be set**"
	case s.fallback == "":
		return "none"
	}
	return "`" + s.fallback + "`"
}

// kindWords says in the documents what a kind allows.
var kindWords = map[string]string{
	"origin": "an https:// address", "address": "address:port", "file": "a file", "secretfile": "a secret file",
	"dir": "a folder", "https": "an https:// address", "host": "a host name", "mailbox": "a sender",
	"contact": "mailto: or https:", "dsn": "a DSN", "networks": "addresses, networks",
	"node": "hosts with a port", "nats": "a tls:// or nats:// address",
}

func allowedNote(s setting) string {
	switch {
	case s.span != "" && s.kind == "" && s.key == "product":
		return spanWords(s) + " letters"
	case s.span != "":
		return spanWords(s)
	case s.oneof != nil:
		return "`" + strings.Join(s.oneof, "`, `") + "`"
	case s.fallback == "true" || s.fallback == "false":
		return "`true`, `false`"
	}
	return cmp.Or(kindWords[s.kind], "a text")
}
