package authenticators

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

type passkeyChecker struct{ relying *Relying }

// Check judges an answer to RequestOptions by L3 §7.2, whose steps are named where
// they are done. The account is known before (step 6): by the attempt, or by
// ShownBy and ByHandle. Its passkeys are the allow list (step 5): an attempt that
// allows fewer hands over fewer. Step 22, the counter, is AcceptPasskey's, in the
// transaction: the row decides, not what was read a moment ago. Step 23: no
// extension is asked for, and none is looked at.
//
// An answer names its credential by an id of 16 bytes or more that only its
// authenticator and we know: how long a refusal takes tells nobody a name.
func (p passkeyChecker) Check(_ context.Context, kept Kept, shown Shown) (Verdict, error) {
	no := func(why string) (Verdict, error) { return Verdict{Hint: hintFor(why)}, nil }
	g, ok := readGot(shown.Secret.Reveal())
	if !ok {
		return no(badAnswer)
	}
	c, found := findPasskey(kept, g.answer.RawID)
	if !found {
		return no(badUnknown)
	}
	f, err := PasskeyOf(c)
	if err != nil {
		return Verdict{}, err
	}
	if why := p.relying.judge(g, c, f, shown); why != "" {
		return no(why)
	}
	f.Attested = f.Attested && p.relying.policy.stillTrusts(f.AAGUID, shown.Now)
	flags := g.data.Flags
	return Verdict{OK: true, Proof: proofBy(c, f, int64(g.data.Counter), flags.HasUserVerified(), flags.HasBackupState(), shown.Now)}, nil
}

// judge is steps 6 to 21 for a credential that was found.
func (r *Relying) judge(g gotAnswer, c Credential, f PasskeyFacts, shown Shown) string {
	return firstOf(
		func() string { return unless(usable(c, shown.Now), badState) },
		func() string { return unless(g.ownedBy(c, shown.Alone), badUser) }, // step 6
		func() string { return r.clientIs(g.client, "webauthn.get", shown.Challenge) },
		func() string { return r.dataIs(g.data, shown.Verified) },
		func() string { return unless(g.data.Flags.HasBackupEligible() == f.BackupEligible, badEligibility) }, // 19
		func() string { return unless(g.signedBy(f.Key), badSignature) },                                      // 20, 21
		func() string { return unless(!shown.Verified || f.Verifies, badUnverified) },
	)
}

// usable: a passkey has no address that could be gone, so Opens is all there is.
func usable(c Credential, now time.Time) bool { return c.Opens(now) }

func findPasskey(kept Kept, rawID []byte) (Credential, bool) {
	handle := passkeyHandle + b64url(rawID)
	all := kept.Of(KindPasskey)
	at := slices.IndexFunc(all, func(c Credential) bool { return c.Handle == handle })
	if at < 0 {
		return Credential{}, false
	}
	return all[at], true
}

// gotAnswer is the answer to RequestOptions, parsed.
type gotAnswer struct {
	answer passkeyAnswer
	client clientData
	data   protocol.AuthenticatorData
}

// readGot parses an answer: steps 3, 4 and 7 to 9 of L3 §7.2.
func readGot(raw string) (g gotAnswer, ok bool) {
	g.answer, g.client, ok = readAnswer(raw)
	if !ok || len(g.answer.Response.AuthenticatorData) > maxAttestation || len(g.answer.Response.Signature) == 0 {
		return g, false
	}
	return g, !tooLong(g.answer.Response.AuthenticatorData) && g.data.Unmarshal(g.answer.Response.AuthenticatorData) == nil
}

// ownedBy: a user handle that is there is the owner's. A key that is not
// discoverable gives none, which is enough where the owner was named before.
func (g gotAnswer) ownedBy(c Credential, alone bool) bool {
	h := g.answer.Response.UserHandle
	return len(h) == 0 && !alone || bytes.Equal(h, handleOf(c.Account))
}

func (g gotAnswer) signedBy(cose []byte) bool {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return false
	}
	hash := sha256.Sum256(g.answer.Response.ClientDataJSON)
	ok, err := webauthncose.VerifySignature(key, slices.Concat(g.answer.Response.AuthenticatorData, hash[:]), g.answer.Response.Signature)
	return ok && err == nil
}
