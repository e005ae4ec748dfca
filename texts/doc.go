// Package texts hands codes to whoever sends text messages and makes calls.
//
// Desk.Ask, called in a sign-in's own transaction, spends the budgets and puts a
// message into the outbox: nothing in a sign-in waits for a provider. Post.Send is
// the channel that empties it: it tries the providers in order, leaves out one that
// has failed lately, and notes when a code was handed over, for that is when its
// life begins.
//
// Text messages are the weakest way there is (SP 800-63B-4 §3.2.9 calls them
// restricted). They are off unless a provider is configured, a country is allowed
// and a policy accepts them.
package texts
