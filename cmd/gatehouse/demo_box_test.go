package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/outbox"
	"gatehouse/proof"
	"gatehouse/texts"
)

func TestTheDemosTextMessagesAndCallsLandInItsLetterBox(t *testing.T) {
	l := &Loaded{}
	l.MailFolder = filepath.Join(t.TempDir(), "outbox")
	l.boxed()
	all, err := l.postOf()
	if err != nil || len(all) != 1 || !l.textsOn() {
		t.Fatal(all, err, l.textsOn())
	}
	for way, want := range map[proof.Method]string{
		proof.SMS:   "To:      +351912345642\nDate:    ",
		proof.Voice: "Your code is 482915. Again: 482915.\n",
	} {
		m := texts.Message{To: "+351912345642", Way: way, Text: "Your code is", Digits: "482915", Again: "Again:"}
		if class := all[0].Send(t.Context(), m); class != outbox.Done {
			t.Fatal(class)
		}
		got, err := os.ReadFile(filepath.Join(l.MailFolder, "0-latest.txt"))
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %q, %v", way, got, err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(l.MailFolder, time.Now().UTC().Format("2006")+"*.txt")); len(files) != 2 {
		t.Error(files)
	}
}

func TestADemoWhoseConfigurationNamesAProviderUsesIt(t *testing.T) {
	l := &Loaded{}
	l.MailFolder, l.TextKind, l.TextCountries = "outbox", "hook", []string{"PT"}
	l.boxed()
	if l.TextKind != "hook" || len(l.TextCountries) != 1 {
		t.Error(l.TextKind, l.TextCountries)
	}
}
