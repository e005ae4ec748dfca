package authenticators

import (
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/google/uuid"

	"gatehouse/proof"
	"gatehouse/seal"
)

// CheckNew judges the answer to CreationOptions by L3 §7.1, whose steps are named
// where they are done. What it returns has neither ID nor Name: they are the
// caller's. Step 26, that nobody has this credential yet, is AddCredential's, in
// the transaction: it returns false for a Handle that is taken. The hint's Reason
// is for the log.
//
// u is whom the options were made for: the answer does not repeat it, the
// challenge binds the two. Step 28: the extension we ask for, credProps, is kept;
// others are passed over, as the standard allows.
func (r *Relying) CheckNew(u PasskeyUser, challenge []byte, answer seal.Secret, as PasskeySort, now time.Time) (Credential, proof.Proof, Hint, bool) {
	n, why := readNew(answer.Reveal())
	d := n.object.AuthData
	var maker vouched
	if why == "" {
		why = firstOf(
			func() string { return r.clientIs(n.client, "webauthn.create", challenge) },
			func() string { return r.dataIs(d, as == SortPasskey) },
			func() string { return algorithmIs(d.AttData.CredentialPublicKey) }, // step 20
			func() string { maker, why = r.vouchedFor(n, now); return why },     // 21 to 24
			func() string { return unless(handleOf(u.Account) != nil, badUser) },
		)
	}
	if why != "" {
		return Credential{}, proof.Proof{}, hintFor(why), false
	}
	f := factsOf(n, as, maker)
	c := Credential{Account: u.Account, Kind: KindPasskey, Handle: passkeyHandle + b64url(d.AttData.CredentialID),
		Public: f.public(), Counter: int64(d.Counter), MadeAt: now, Version: 1}
	return c, proofBy(c, f, int64(d.Counter), d.Flags.HasUserVerified(), f.BackedUp, now), Hint{}, true
}

// factsOf is the credential record of step 27.
func factsOf(n newAnswer, as PasskeySort, maker vouched) PasskeyFacts {
	d := n.object.AuthData
	model, _ := uuid.FromBytes(d.AttData.AAGUID) // 16 bytes, as parsed
	f := PasskeyFacts{Key: d.AttData.CredentialPublicKey, Sort: as, AAGUID: model.String(), Format: n.object.Format,
		BackupEligible: d.Flags.HasBackupEligible(), BackedUp: d.Flags.HasBackupState(), Verifies: d.Flags.HasUserVerified(),
		Discoverable: n.answer.Extensions.CredProps.RK, Transports: transports(n.answer.Response.Transports),
		Attested: maker.attested, Model: maker.model}
	if f.Model == "" {
		f.Model = modelNames[f.AAGUID]
	}
	if f.Attested {
		f.AttestedAs = maker.model
	}
	return f
}

// transports keeps the words the standard knows (L3 §5.8.4): they are sent back to
// browsers, and come from one.
func transports(said []string) []string {
	known := []string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}
	var kept []string
	for _, t := range said[:min(len(said), maxTransports)] {
		if slices.Contains(known, t) && !slices.Contains(kept, t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// algorithmIs is step 20: a well-formed key of an algorithm that was offered.
func algorithmIs(cose []byte) string {
	var key webauthncose.PublicKeyData
	if webauthncbor.Unmarshal(cose, &key) != nil {
		return badAlgorithm
	}
	_, err := webauthncose.ParsePublicKey(cose)
	return unless(err == nil && slices.Contains(offered[:], webauthncose.COSEAlgorithmIdentifier(key.Algorithm)), badAlgorithm)
}

// proofBy is what a passkey proves when it signs. That it verified its holder
// counts only when it did so on the day it was added too: else whoever finds a
// key that has no PIN could give it one, and have two proofs (L3 §7.2 step 24 on
// uvInitialized). Drift carries the backup state to AcceptPasskey.
func proofBy(c Credential, f PasskeyFacts, count int64, verified, backedUp bool, now time.Time) proof.Proof {
	p := proof.Proof{Method: proof.Passkey, Authenticator: string(c.ID), Version: c.Version, At: now.UTC(), Step: count,
		Verified: verified && f.Verifies, Bound: !f.BackupEligible, Attested: f.Attested}
	if backedUp {
		p.Drift = 1
	}
	return p
}
