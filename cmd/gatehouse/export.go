package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"gatehouse/export"
	"gatehouse/follow"
)

// Names of the followers' places: another name begins at the start of the log.
const (
	exportFileFollower = "export.file"
	exportNATSFollower = "export.nats"
)

// sinkPatience is how long a page may take into a sink: long for a person, and
// nobody waits for it.
const sinkPatience = 20 * time.Second

// openExport adds the followers that hand events on, where the settings name a sink.
func (h *house) openExport() error {
	l := h.l
	if l.ExportFolder != "" {
		files := export.NewFiles(l.ExportFolder, l.ExportAll, h.now)
		h.follow.Followers = append(h.follow.Followers, follow.Follower{
			Name: exportFileFollower, Out: files.Out, Page: export.Page, Patience: sinkPatience})
	}
	if l.ExportNATS == "" {
		return nil
	}
	o := export.StreamOptions{URL: l.ExportNATS, Stream: l.ExportStream, Subject: l.ExportTopic, Credentials: l.ExportCreds, User: l.ExportUser, Personal: l.ExportAll}
	if l.ExportSecret != "" {
		password, err := readSecret(l.ExportSecret)
		if err != nil {
			return err
		}
		o.Password = password
	}
	stream := export.NewStream(o)
	h.follow.Followers = append(h.follow.Followers, follow.Follower{
		Name: exportNATSFollower, Out: stream.Out, Page: export.Page, Patience: sinkPatience})
	return nil
}

func (l *Loaded) checkExport() {
	if everywhere(l.HooksAllowed) {
		l.warn("hooks.allowed_networks", "hooks.allowed_networks leaves out nothing, so whoever adds a receiver can make Gatehouse speak to every machine it reaches; name the networks that are meant")
	}
	if (l.ExportUser == "") != (l.ExportSecret == "") {
		l.wrong(either(l.ExportUser == "", "export.nats_password_file", "export.nats_user"), "export.nats_user and export.nats_password_file belong together; set both or neither")
	}
	if l.ExportUser != "" && l.ExportCreds != "" {
		l.wrong("export.nats_creds_file", "export.nats_creds_file and export.nats_user are both set; keep one")
	}
	if l.ExportAll && l.ExportFolder == "" && l.ExportNATS == "" {
		l.wrong("export.personal", "export.personal works only with export.folder or export.nats_url; take the line out")
	}
	if !natsInTheOpen(l.ExportNATS) {
		return
	}
	if l.ExportAll {
		l.wrong("export.nats_url", "export.personal would send addresses and networks in the open to %s; use tls://", l.ExportNATS)
		return
	}
	l.warn("export.nats_url", "who signs in when would pass in the open to %s; use tls://", l.ExportNATS)
}

func natsInTheOpen(list string) bool {
	for text := range strings.SplitSeq(list, ",") {
		if u, err := url.Parse(text); err == nil && u.Scheme == "nats" && !isLocal(u.Hostname()) {
			return true
		}
	}
	return false
}

func judgeNATS(list string) error {
	schemes := map[string]bool{}
	for text := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("%q is not a NATS server; write tls://nats.example.com:4222", withoutUser(text))
		}
		if u.User != nil {
			return fmt.Errorf("%q holds a user; write that under export.nats_user and export.nats_password_file", withoutUser(text))
		}
		schemes[u.Scheme] = true
	}
	if len(schemes) > 1 {
		return fmt.Errorf("%q mixes tls:// and nats://; use tls:// for all", list)
	}
	return nil
}

// withoutUser keeps a password that stands in a URL out of messages.
func withoutUser(text string) string { return text[strings.LastIndexByte(text, '@')+1:] }

var (
	goodStream  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	goodSubject = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

func judgeStream(text string) error {
	if !goodStream.MatchString(text) {
		return fmt.Errorf("%q is not the name of a stream; use letters, digits, - and _", text)
	}
	return nil
}

func judgeSubject(text string) error {
	if !goodSubject.MatchString(text) {
		return fmt.Errorf("%q is not a subject; write words with dots between, such as gatehouse.events", text)
	}
	return nil
}

// everywhere tells whether a list of networks leaves out nothing.
func everywhere(networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Bits() == 0 {
			return true
		}
	}
	return false
}
