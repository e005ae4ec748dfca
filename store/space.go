package store

import (
	"os"
	"path/filepath"
)

// At T2 the journal's disk is all there is. When it is nearly full, events that
// only help to understand (events.Analytics) are no longer kept, so that those
// that prove something are; when it is full, a reserve made at the start is given
// up, which is room for some ten thousand sign-ins more.
const (
	tightBelow   = 64 << 20
	reserveBytes = 16 << 20
)

// look asks how much room is left and makes the reserve while there is plenty.
func (sb *standby) look() {
	free, err := sb.o.Free(sb.o.Dir)
	tight := err == nil && free < tightBelow
	sb.mu.Lock()
	changed := tight != sb.tight
	sb.tight = tight
	sb.mu.Unlock()
	switch {
	case changed && tight:
		sb.o.Log.Error("the disk under the standby's journal is nearly full: events that only help to understand are no longer kept; make room", "dir", sb.o.Dir, "free_bytes", free)
	case changed:
		sb.o.Log.Info("the disk under the standby's journal has room again", "dir", sb.o.Dir)
	}
	if !tight && err == nil && free > 4*reserveBytes {
		sb.makeReserve()
	}
}

func (sb *standby) reserve() string { return filepath.Join(sb.o.Dir, "reserve") }

// makeReserve writes real bytes: a file of holes reserves nothing.
func (sb *standby) makeReserve() {
	if st, err := os.Stat(sb.reserve()); err == nil && st.Size() == reserveBytes {
		return
	}
	if err := os.WriteFile(sb.reserve(), make([]byte, reserveBytes), 0o600); err != nil {
		_ = os.Remove(sb.reserve()) // half a reserve only takes room
	}
}

// giveUpReserve makes the last room there is; false when it was given up before.
func (sb *standby) giveUpReserve() bool {
	if os.Remove(sb.reserve()) != nil {
		return false
	}
	sb.mu.Lock()
	sb.tight = true
	sb.mu.Unlock()
	sb.o.Log.Error("the disk under the standby's journal is full; the reserve was given up, and only what proves something is kept from now on", "dir", sb.o.Dir)
	return true
}

// Shed says that an event which proves nothing should not be kept now, because
// the disk under the journal is nearly full; each yes is counted (State.Shed).
func (t *Tx) Shed() bool {
	if !t.store.isStandby {
		return false
	}
	sb := t.store.standby
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.tight {
		sb.state.Shed++
	}
	return sb.tight
}
