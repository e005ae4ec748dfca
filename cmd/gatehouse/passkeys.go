package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gatehouse/authenticators"
	"gatehouse/web"
)

// openPasskeys gives flow and manage the rules for passkeys. Where the origin has
// no name there are none: browsers bind them to one.
func (h *house) openPasskeys() error {
	rules, err := h.l.relying(h.now)
	if errors.Is(err, authenticators.ErrNoDomain) && h.l.PasskeyDomain == "" {
		h.slog.Info("no passkeys: the origin is an address, and browsers bind passkeys to a name", "origin", h.l.Origin)
		return nil
	}
	if err != nil {
		return err
	}
	if m := rules.Metadata(); m != nil && h.now().After(m.Next) {
		h.slog.Warn("the metadata of the makers of security keys is old: models withdrawn since are still taken", "passkeys.mds_file", h.l.PasskeyMDS, "due", m.Next.UTC().Format(time.DateOnly))
	}
	h.passkeys, h.manage.Passkeys, h.flow.Auth = rules, rules, h.flow.Auth.WithPasskeys(rules)
	return nil
}

// relying is what the settings say of passkeys.
func (l *Loaded) relying(now func() time.Time) (*authenticators.Relying, error) {
	attest := authenticators.AttestationPolicy{Mode: authenticators.AttestationMode(l.PasskeyAttestation), AAGUIDs: l.PasskeyModels}
	if l.PasskeyAttestation == "none" {
		attest.Mode = authenticators.AttestationNone
	}
	if l.PasskeyMDS != "" {
		blob, err := os.ReadFile(l.PasskeyMDS)
		if err != nil {
			return nil, err
		}
		if attest.MDS, err = authenticators.ReadMDS(blob, "", now()); err != nil {
			return nil, fmt.Errorf("passkeys.mds_file: %w", err)
		}
	}
	return authenticators.NewRelying(authenticators.RelyingOptions{ID: l.PasskeyDomain, Name: l.Product,
		Origins: append([]string{l.Origin}, l.PasskeyOrigins...), Attestation: attest})
}

// checkPasskeys finds what NewRelying would refuse at the start, without the files
// that a checking machine need not have.
func (l *Loaded) checkPasskeys() {
	if l.Origin == "" || l.broken["origin"] {
		return
	}
	if l.PasskeyAttestation != "none" && l.PasskeyMDS == "" {
		l.wrong("passkeys.mds_file", "passkeys.attestation: %s needs the metadata of the FIDO Alliance to know makers by; download the BLOB and name it under passkeys.mds_file", l.PasskeyAttestation)
		return
	}
	_, err := authenticators.NewRelying(authenticators.RelyingOptions{ID: l.PasskeyDomain, Name: l.Product,
		Origins: append([]string{l.Origin}, l.PasskeyOrigins...)})
	switch {
	case errors.Is(err, authenticators.ErrNoDomain) && l.PasskeyDomain == "":
		l.warn("origin", "the origin is an address and no name, so nobody can use a passkey")
	case err != nil:
		l.wrong("passkeys.domain", "passkeys.domain: %s", strings.TrimPrefix(err.Error(), "authenticators: "))
	}
	if len(l.PasskeyModels) > 0 && l.PasskeyAttestation != "required" {
		l.wrong("passkeys.models", "passkeys.models works only with passkeys.attestation: required, because anybody can claim a model; set that, or take the line out")
	}
}

// makers looks at the metadata by which the makers of security keys are known. A file
// that is not there is a mistake of the configuration, and told with those.
func (d *doctor) makers() {
	if d.h == nil || d.h.passkeys == nil || d.h.passkeys.Metadata() == nil {
		return
	}
	d.findings = append(d.findings, makersFinding(d.h.passkeys.Metadata().Next, d.l.PasskeyMDS, d.h.now()))
}

func makersFinding(next time.Time, file string, now time.Time) finding {
	day := next.UTC().Format(time.DateOnly)
	if now.After(next) {
		return finding{"makers of security keys", warning, "the metadata was to be replaced on " + day + ": models withdrawn since are still taken",
			"curl -Lo " + file + " https://mds3.fidoalliance.org/ && restart gatehouse serve"}
	}
	return finding{"makers of security keys", success, "the metadata is good until " + day, ""}
}

// forPages is what pages and API need; nil where there are no passkeys.
func (h *house) forPages() *web.Passkeys {
	if h.passkeys == nil {
		return nil
	}
	return &web.Passkeys{Rules: h.passkeys, Ask: h.flow, Keep: h.manage}
}
