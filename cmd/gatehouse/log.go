package main

import (
	"io"
	"log/slog"
)

// newLog writes to standard output, where systemd and containers look. Times are
// UTC, like everything else we keep.
func newLog(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // the configuration has checked it
	options := &slog.HandlerOptions{Level: least, ReplaceAttr: utc}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func utc(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
