package notices

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/id"
)

// Folder writes mails as files instead of sending them: the demo's mailbox.
// Whoever reads it can open every link in it.
type Folder struct {
	Dir  string // made when missing, for its owner alone
	From string // mailbox, as in: Gatehouse <login@example.com>
}

// Send writes NAME.txt to read and NAME.eml for a mail program, and copies the
// former to 0-latest.txt. Names begin with the time the mail was made, so they
// sort by it; sending the same mail again writes the same files.
func (f *Folder) Send(_ context.Context, m Mail) error {
	msg, err := message(m, f.From)
	if err != nil {
		return err
	}
	var eml bytes.Buffer
	if _, err := msg.WriteTo(&eml); err != nil {
		return err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	name := fileName(m)
	text := f.readable(m)
	for file, content := range map[string][]byte{name + ".eml": eml.Bytes(), name + ".txt": text} {
		if err := writeWhole(f.Dir, file, content); err != nil {
			return err
		}
	}
	return writeWhole(f.Dir, "0-latest.txt", text)
}

// readable is the mail as a person with a terminal wants it.
func (f *Folder) readable(m Mail) []byte {
	return fmt.Appendf(nil, "From:    %s\nTo:      %s\nDate:    %s\nSubject: %s\n\n%s",
		f.From, m.To, m.Made.Format("Mon, 2 Jan 2006 15:04:05 -0700"), m.Subject, m.Text)
}

// fileName holds nothing a person chose: no address may name a file.
func fileName(m Mail) string {
	short := "unnamed"
	if _, err := id.Parse[id.Message](m.ID); err == nil {
		short = m.ID[len(m.ID)-8:]
	}
	return m.Made.UTC().Format("2006-01-02T150405.000000Z") + "-" + string(m.Kind) + "-" + short
}

// writeWhole leaves the old file or the new one, never half of it.
func writeWhole(dir, name string, content []byte) error {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
