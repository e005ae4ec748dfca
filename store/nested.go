package store

import (
	"errors"
	"reflect"
	"runtime"
)

// A second transaction inside fn would wait for a connection while holding one:
// with a pool of one it can never come, and with a pool of sixteen it takes
// sixteen callers. So it is refused always, by looking down the stack of the
// goroutine that asks: whoever finds the frame of inside there is inside.
//
// A goroutine that fn starts is not seen. If fn waits for it and the pool is
// exhausted, that call ends with Unavailable at its deadline; it never hangs.
var errNested = errors.New("store: a transaction was opened inside a transaction; pass the *store.Tx on instead")

// inside calls fn. It must stay a frame of its own, hence noinline.
//
//go:noinline
func inside(t *Tx, fn func(*Tx) error) error {
	err := fn(t)
	return err
}

var insideEntry = reflect.ValueOf(inside).Pointer()

func nested() bool {
	var pcs [64]uintptr
	for skip := 0; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == insideEntry {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
