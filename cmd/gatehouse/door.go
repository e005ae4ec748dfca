package main

import "time"

// hashTook passes on how long a hash took: to the metrics, and to the gate, whose
// limit follows it.
func (h *house) hashTook(hashing, waiting time.Duration) {
	h.metrics.HashTook(hashing, waiting)
	h.gate.Hashed(hashing, waiting)
}
