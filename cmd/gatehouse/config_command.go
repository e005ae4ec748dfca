package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// ConfigCommand looks at the configuration without starting anything.
type ConfigCommand struct {
	Check   ConfigCheck   `cmd:"" help:"Name every mistake at once, as file:line:column, with what to write instead."`
	Docs    ConfigDocs    `cmd:"" help:"Write the reference of all settings as Markdown."`
	Example ConfigExample `cmd:"" help:"Write a commented configuration file with every setting."`
}

// ConfigCheck finds every mistake and exits with 2 when there is one.
type ConfigCheck struct {
	File           string `arg:"" optional:"" help:"The configuration file; the same as --config."`
	PrintEffective bool   `help:"Also print every setting as it will be used and where it was written. Passwords are masked."`
	Files          bool   `negatable:"" default:"true" help:"Also look at the files that settings name: certificate, keys, passwords."`
	kong.Plugins
	flags *flagValues
}

// Run checks the configuration the way serve would read it.
func (c *ConfigCheck) Run(p *program) error {
	p.configFile = cmp.Or(c.File, p.configFile)
	l := p.load(c.flags)
	if c.Files {
		l.checkFiles()
		l.checkFilter()
	}
	p.warnings(l)
	if c.PrintEffective {
		l.printEffective(p.out)
	}
	if err := l.err(); err != nil {
		return err
	}
	if !c.PrintEffective {
		fmt.Fprintf(p.out, "%s: no mistakes.\n", cmp.Or(l.File, "The environment and the defaults"))
	}
	return nil
}

// ConfigDocs writes docs/configuration.md.
type ConfigDocs struct{}

// Run writes Markdown to standard output.
func (c *ConfigDocs) Run(p *program) error {
	printMarkdown(p.out)
	return nil
}

// ConfigExample writes deploy/gatehouse.example.yaml.
type ConfigExample struct{}

// Run writes YAML to standard output.
func (c *ConfigExample) Run(p *program) error {
	printExample(p.out)
	return nil
}

// usualFile is read when nobody names another and it exists.
const usualFile = "/etc/gatehouse/gatehouse.yaml"

// load reads the configuration for any command that needs one.
func (p *program) load(flags *flagValues) *Loaded {
	path := p.configFile
	if path == "" {
		if _, err := os.Stat(usualFile); err == nil {
			path = usualFile
		}
	}
	var given map[string]string
	if flags != nil {
		given = flags.given()
	}
	return load(path, p.environ, given)
}

// mustLoad is load for a command that cannot go on with a mistake.
func (p *program) mustLoad(flags *flagValues) (*Loaded, error) {
	l := p.load(flags)
	if err := l.err(); err != nil {
		return nil, err
	}
	return l, nil
}

func (p *program) warnings(l *Loaded) {
	for _, w := range l.Warnings {
		fmt.Fprintf(p.err, "%s: warning: %s\n", w.Where, w.Message)
	}
}

// mistakes is the error of a configuration: one line for each.
type mistakes struct{ list []Mistake }

func (l *Loaded) err() error {
	if len(l.Mistakes) == 0 {
		return nil
	}
	return &mistakes{l.Mistakes}
}

func (m *mistakes) Error() string {
	text := ""
	for _, one := range m.list {
		text += one.String() + "\n"
	}
	count := fmt.Sprintf("%d mistakes", len(m.list))
	if len(m.list) == 1 {
		count = "1 mistake"
	}
	return text + count + " in the configuration. All settings: gatehouse config docs"
}

// ExitCode tells scripts a wrong configuration from a failure.
func (m *mistakes) ExitCode() int { return 2 }
