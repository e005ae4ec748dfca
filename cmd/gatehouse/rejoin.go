package main

import "gatehouse/store"

// settle decides what a hand-over undoes.
func (r *loops) settle() store.Settle { return nil }
