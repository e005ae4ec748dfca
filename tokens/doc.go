// Package tokens is the stock of hardware code tokens: imported, assigned, activated,
// lost, found, returned, retired, each step with its history. It reads what makers
// send (PSKC, RFC 6030, and CSV) and keeps the stock; it opens nothing by itself: a
// token that is in use is an authenticator of its holder (package authenticators).
package tokens
