package authenticators

import (
	"crypto/subtle"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
)

// Why a passkey was refused, for the log. The person is told less: see hintFor.
const (
	badAnswer       = "malformed"      // no answer of a browser, or not of this ceremony's form
	badType         = "type"           // signed for the other ceremony
	badChallenge    = "challenge"      // not the question that was asked
	badOrigin       = "origin"         // asked by a page of somebody else
	badFrame        = "framed"         // asked by a page inside a page of somebody else
	badDomain       = "domain"         // bound to another domain
	badPresence     = "presence"       // nobody touched it
	badVerification = "verification"   // it did not make sure who held it
	badBackup       = "backup-flags"   // backed up, and not able to be
	badAlgorithm    = "algorithm"      // not one of those that were offered, or no such key
	badLength       = "id-length"      // a credential id of more than 1023 bytes
	badStatement    = "attestation"    // the attestation does not prove what it says
	badModel        = "model"          // not a model that the policy takes
	badRevoked      = "model-revoked"  // a model that its maker's alliance warns of
	badUnknown      = "unknown"        // none of this account's
	badState        = "off"            // switched off, or not usable yet
	badUser         = "other-user"     // says it belongs to another account
	badEligibility  = "backup-changed" // able to be copied, and was not; or the other way round
	badSignature    = "signature"      // not signed by the key we keep
	badUnverified   = "unverified-key" // verifies now, and did not when it was added
)

// The hints, as words keys. They help with what an honest person can mend and
// tell an attacker nothing that their own browser does not.
const (
	HintPasskeyAgain   = "passkey.hint.again"   // the question is too old: ask again
	HintPasskeyAddress = "passkey.hint.address" // the page was not at our address
	HintPasskeyFramed  = "passkey.hint.framed"  // the page was shown inside another
	HintPasskeyVerify  = "passkey.hint.verify"  // the key has to ask for PIN, finger or face
	HintPasskeyModel   = "passkey.hint.model"   // the policy does not take this model
	HintPasskeyOther   = "passkey.hint.other"   // not one of this account's: choose another
	HintPasskeyTouch   = "passkey.hint.touch"   // added for its touch alone: it cannot stand for a password
	HintPasskeyFailed  = "passkey.hint.failed"  // whatever else
)

var passkeyHints = map[string]string{
	badChallenge: HintPasskeyAgain, badOrigin: HintPasskeyAddress, badFrame: HintPasskeyFramed, badVerification: HintPasskeyVerify,
	badModel: HintPasskeyModel, badRevoked: HintPasskeyModel, badUnknown: HintPasskeyOther, badUser: HintPasskeyOther,
	badState: HintPasskeyOther, badUnverified: HintPasskeyTouch,
}

// hintFor is what a person is told of a reason: one neutral answer for every
// reason but those that help.
func hintFor(why string) Hint {
	key := passkeyHints[why]
	if key == "" {
		key = HintPasskeyFailed
	}
	return Hint{Key: key, Reason: why}
}

// firstOf runs checks in order and returns the first reason against.
func firstOf(checks ...func() string) string {
	for _, check := range checks {
		if why := check(); why != "" {
			return why
		}
	}
	return ""
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// minChallenge keeps a caller who lost the question from asking for nothing (L3
// §13.4.3: 16 bytes at least).
const minChallenge = 16

// clientIs is steps 7 to 11 of L3 §7.1 and 10 to 14 of §7.2. No page of ours is
// ever used inside another site's: the CSP forbids it, and so do these two.
func (r *Relying) clientIs(c clientData, ceremony string, challenge []byte) string {
	asked := []byte(b64url(challenge))
	return firstOf(
		func() string { return unless(c.Type == ceremony, badType) },
		func() string {
			return unless(len(challenge) >= minChallenge && subtle.ConstantTimeCompare([]byte(c.Challenge), asked) == 1, badChallenge)
		},
		func() string { return unless(slices.Contains(r.origins, c.Origin), badOrigin) },
		func() string { return unless(!c.CrossOrigin, badFrame) },
		func() string { return unless(c.TopOrigin == nil, badFrame) },
	)
}

// dataIs is steps 14 to 17 of L3 §7.1 and 15 to 18 of §7.2.
func (r *Relying) dataIs(d protocol.AuthenticatorData, verified bool) string {
	return firstOf(
		func() string { return unless(subtle.ConstantTimeCompare(d.RPIDHash, r.hash[:]) == 1, badDomain) },
		func() string { return unless(d.Flags.HasUserPresent(), badPresence) },
		func() string { return unless(!verified || d.Flags.HasUserVerified(), badVerification) },
		func() string { return unless(d.Flags.HasBackupEligible() || !d.Flags.HasBackupState(), badBackup) },
	)
}
