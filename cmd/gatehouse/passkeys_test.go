package main

import (
	"strings"
	"testing"
	"time"
)

func TestMetadataOfMakersThatIsOldIsWarnedOf(t *testing.T) {
	due := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		now    time.Time
		status string
	}{
		"the day before": {due.Add(-24 * time.Hour), success},
		"a second after": {due.Add(time.Second), warning},
		"years later":    {due.AddDate(3, 0, 0), warning},
	} {
		f := makersFinding(due, "/etc/gatehouse/mds.jwt", c.now)
		if f.Status != c.status || !strings.Contains(f.Says, "2026-11-01") {
			t.Errorf("%s: %+v", name, f)
		}
		if (f.Fix == "") != (c.status == success) {
			t.Errorf("%s: fix %q", name, f.Fix)
		}
	}
}
