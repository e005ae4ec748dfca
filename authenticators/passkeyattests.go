package authenticators

// Attests tells whether makers are asked to vouch for new passkeys: where they are
// not, no passkey ever counts for a policy that wants it.
func (r *Relying) Attests() bool { return r.policy.Mode != AttestationNone }
