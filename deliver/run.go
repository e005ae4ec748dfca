package deliver

import (
	"context"
	"sync"
)

// parts is what a Deliverer makes of its fields.
type parts struct {
	once sync.Once
	wake map[string]chan struct{}
}

// Run delivers until ctx ends and what is on its way has had a moment to finish.
func (d *Deliverer) Run(ctx context.Context) { <-ctx.Done() }

// Nudge makes Run look at every channel now. It never blocks; call it after a
// commit that added a message.
func (d *Deliverer) Nudge() {}
