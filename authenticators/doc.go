// Package authenticators knows what a person can show to prove who they are: a
// password, the code of an authenticator app, a recovery code. It makes the
// things, checks what is shown against what is kept, and spends what is good
// only once.
//
// Checking and spending are two steps. Set.Check is pure of transactions and may
// be slow (Argon2id); AcceptTOTP, SpendRecoveryCode and StillSame run inside the
// transaction that commits the sign-in and decide again on what is true then.
//
// Every kind has a file of its own: password.go, totp.go, recovery.go. The rules
// for choosing a password are in policy.go, with the lists of breached ones in
// breached.go and the strength meter in strength.go.
package authenticators
