package authenticators

import (
	"context"

	"gatehouse/proof"
	"gatehouse/store"
)

type hotpChecker struct{}

func (hotpChecker) Check(context.Context, Kept, Shown) (Verdict, error) { return Verdict{}, nil }

// AcceptHOTP spends the counter that a proof showed.
func AcceptHOTP(*store.Tx, proof.Proof, string) (bool, error) { return false, nil }
