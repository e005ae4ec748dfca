package authenticators

import "testing"

func TestMemoryIsKeptWhileHashesComeAndLetGoInQuiet(t *testing.T) {
	h := testHasher(t, testKeys(t), quick)
	hash := func() {
		if _, err := h.Hash(t.Context(), ana, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	size := int64(quick.MemoryKiB) << 10
	if freed := h.Rest(); freed != 0 {
		t.Errorf("before the first hash %d bytes are let go of", freed)
	}
	hash()
	hash()
	if freed := h.Rest(); freed != 0 {
		t.Errorf("right after a hash %d bytes are let go of", freed)
	}
	if freed := h.Rest(); freed != size {
		t.Errorf("in quiet %d bytes are let go of, want those of one hash (%d): two came one after the other", freed, size)
	}
	hash()
	if freed := h.Rest(); freed != 0 {
		t.Errorf("a hash after a rest: %d bytes are let go of", freed)
	}
}
