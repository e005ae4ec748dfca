package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// VersionCommand says which build this is.
type VersionCommand struct{}

// Run prints one line.
func (c *VersionCommand) Run(p *program) error {
	fmt.Fprintf(p.out, "gatehouse %s, %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// version is what the Go tool wrote into the program: a tag, or a commit and
// whether it was changed, or "development".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "development"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	if commit == "" {
		return "development"
	}
	return commit[:min(12, len(commit))] + changed
}
