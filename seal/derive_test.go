package seal_test

import (
	"bytes"
	"slices"
	"testing"

	"gatehouse/seal"
)

func TestADerivedKeyIsTheSameOnEveryNodeAndForNothingElse(t *testing.T) {
	k, dir := newKeys(t)
	stranger, _ := newKeys(t)
	_, hash, err := k.Pepper(seal.Place{Table: "peers"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := k.Derive("peers")
	if got != load(t, dir).Derive("peers") {
		t.Error("two nodes with the same folder have two keys")
	}
	if got == k.Derive("peer") || got == stranger.Derive("peers") || bytes.Equal(got[:], hash) || got == [32]byte{} {
		t.Error("another purpose, another installation or a hash has the same key")
	}
}

func TestARotatedKeyDerivesAndTheOldOnesAreStillKnown(t *testing.T) {
	k, dir := newKeys(t)
	old := k.Derive("peers")
	if err := seal.RotateKey(dir, "pepper"); err != nil {
		t.Fatal(err)
	}
	rotated := load(t, dir)
	all := rotated.DeriveAll("peers")
	if len(all) != 2 || all[0] != rotated.Derive("peers") || all[0] == old || !slices.Contains(all, old) {
		t.Errorf("of two keys: %d derived, the newest first: %v, the old one among them: %v", len(all), all[0] != old, slices.Contains(all, old))
	}
}
