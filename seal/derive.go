package seal

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// Derive makes a key for one purpose from the newest pepper key: the same on
// every node with the same key folder, and of no use for any other purpose.
func (k *Keys) Derive(purpose string) [32]byte { return k.derive(k.pepper.PrimaryID, purpose) }

// DeriveAll is Derive with every listed pepper key, that of Derive first, so that
// what an older key made is known until that key leaves the folder.
func (k *Keys) DeriveAll(purpose string) [][32]byte {
	all := [][32]byte{k.Derive(purpose)}
	for _, kid := range slices.Sorted(maps.Keys(k.pepper.PRFs)) {
		if kid != k.pepper.PrimaryID {
			all = append(all, k.derive(kid, purpose))
		}
	}
	return all
}

// derive cannot meet the input of a hash: that begins with the hash of a place,
// and no place has a table called "derive" (pepperInput).
func (k *Keys) derive(kid uint32, purpose string) [32]byte {
	out, err := k.pepper.PRFs[kid].ComputePRF(pepperInput(Place{Table: "derive", Row: purpose}, nil), sha256.Size)
	if err != nil {
		panic("seal: " + err.Error()) // HMAC-SHA-256 fails for lengths it does not have, and this is not one
	}
	return [32]byte(out)
}
