package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// localZone is the IANA name of this machine's time zone, or "" (UTC), so that
// the demo shows times as the person in front of it reads them.
func localZone() string {
	for _, name := range []string{os.Getenv("TZ"), zoneLink()} {
		if name == "" || name == "Local" {
			continue
		}
		if _, err := time.LoadLocation(name); err == nil {
			return name
		}
	}
	return ""
}

func zoneLink() string {
	path, err := filepath.EvalSymlinks("/etc/localtime")
	if err != nil {
		return ""
	}
	_, name, _ := strings.Cut(path, "zoneinfo/")
	return name
}
