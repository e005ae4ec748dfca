// Package gatehouse is the front door of financial software: a self-hosted
// sign-in platform in one program. This folder holds no code, only the house
// rules as a test (layout_test.go).
//
// The floors, from the ground up; a package imports only lower ones:
//
//	0  fault id proof seal words            words; the standard library and the seal library
//	1  store                                the database
//	2  events                               what happened
//	3  access accounts authenticators …     what we know: types, rules, SQL
//	4  flow manage notices                  what we do; only these open transactions
//	5  web                                  pages and the JSON API
//	6  cmd/gatehouse                        wires everything by hand
package gatehouse
