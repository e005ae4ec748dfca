package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/follow"
	"gatehouse/web"
)

// standby looks at where the standby lies: one that dies with the primary is none.
func (d *doctor) standby() {
	sb := d.l.standby(nil, nil)
	if sb == nil {
		d.add("standby", warning, "set standby.dir to a folder on another disk than the database", "there is none: while the database is away nobody can sign in")
		return
	}
	dsn, err := d.l.dsn()
	path, sqlite := strings.CutPrefix(dsn, "sqlite:")
	if err == nil && sqlite && sameDisk(filepath.Dir(path), there(sb.Dir)) {
		d.add("standby", warning, "mv "+sb.Dir+" to another disk, and set standby.dir", "it lies on the same disk as the database: both go at once")
		return
	}
	d.add("standby", success, "", "in %s", sb.Dir)
}

// there is the folder itself or, before it is made, the nearest one above it.
func there(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// followers looks for events that a reader of the log has set aside.
func (d *doctor) followers(ctx context.Context) {
	const fix = "gatehouse events parked shows which and why; they are tried again by themselves, and at once with gatehouse events retry --all"
	lags, err := follow.Lags(ctx, d.h.store)
	if err != nil {
		d.add("followers", warning, "ask again once the database answers", "%v", err)
		return
	}
	ill := false
	for _, l := range lags {
		switch {
		case l.Parked > 0:
			d.add("followers", warning, fix, "%s has set %s aside", l.Name, count(int(l.Parked), "event"))
		case l.Behind > followerBehind:
			d.add("followers", warning, fix, "%s is %s behind", l.Name, l.Behind.Round(time.Second))
		default:
			continue
		}
		ill = true
	}
	if !ill {
		d.add("followers", success, "", "none is far behind, and none has set anything aside")
	}
}

// running asks the server on this machine how it stands: only it knows its standby,
// its journal and whether people get in.
func (d *doctor) running(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	base := "http://" + reachable(d.l.Management)
	st, err := fetchStatus(ctx, base)
	if err != nil {
		d.add("server", warning, "systemctl status gatehouse", "nothing answers at %s, so nobody can say how the standby and its journal are", base)
		return
	}
	if !st.Ready || !st.Works.SignIn {
		d.add("server", failure, "gatehouse status", "people do not get in on this node%s", either(st.Why == "", "", " ("+st.Why+")"))
	}
	for _, i := range st.Issues {
		d.add("server", grave(i), "gatehouse status", "%s%s: %s", i.Feature, detailWords(i), wrong[i.Feature])
	}
	if st.Status == "well" {
		d.add("server", success, "", "lets people in; its own sign-in says so")
	}
}

// grave tells what an issue is called here.
func grave(i web.Issue) string {
	if i.Tier == "T0" || i.Tier == "T1" {
		return failure
	}
	return warning
}
