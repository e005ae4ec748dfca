package main

import (
	"gatehouse/rejoin"
	"gatehouse/store"
)

// settle decides what a hand-over undoes.
func (r *loops) settle() store.Settle {
	return (&rejoin.Rejoin{Keys: r.keys, Log: r.log}).Settle
}
