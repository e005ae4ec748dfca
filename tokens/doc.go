// Package tokens is the stock of hardware code tokens: imported, assigned, activated,
// lost, returned, retired, each step with its history.
package tokens
