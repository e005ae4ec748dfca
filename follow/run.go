package follow

import (
	"context"

	"gatehouse/store"
)

// Run runs every follower until ctx ends, and returns when all have let go.
func (r *Runner) Run(ctx context.Context) { <-ctx.Done() }

// Lags tells how far behind every follower is that ever began, by name.
func Lags(ctx context.Context, s *store.Store) ([]Lag, error) { return nil, nil }
