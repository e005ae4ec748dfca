package peers_test

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/peers"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

func TestAReservationEndsAfterAFewMinutes(t *testing.T) {
	clock := storetest.NewClock()
	r := peers.NewReservations(clock.Now)
	reserve := func(by string) bool {
		_, granted := r.Reserve([]store.Fact{fact("a", by)})
		return granted
	}
	if !reserve("x") || reserve("y") {
		t.Fatal("the control: first come, first served")
	}
	clock.Forward(peers.ReserveFor - time.Microsecond)
	if reserve("y") {
		t.Error("it ended early")
	}
	clock.Forward(time.Microsecond)
	if !reserve("y") {
		t.Error("it did not end")
	}
}

func TestAReleasedReservationIsFreeAndTheNextOwnerHasItsFullTime(t *testing.T) {
	clock := storetest.NewClock()
	r := peers.NewReservations(clock.Now)
	made, _ := r.Reserve([]store.Fact{fact("a", "x")})
	r.Release(made)
	clock.Forward(time.Minute)
	if _, granted := r.Reserve([]store.Fact{fact("a", "y")}); !granted {
		t.Error("it is not free")
	}
	r.Release(made) // a second time: it is somebody else's now
	clock.Forward(peers.ReserveFor - time.Minute)
	if _, granted := r.Reserve([]store.Fact{fact("a", "z")}); granted {
		t.Error("the end of the first ended the second, or another's release did")
	}
}

func TestTheMemoryOfReservationsIsBoundedAndRefusesWhenFull(t *testing.T) {
	clock := storetest.NewClock()
	r := peers.NewReservations(clock.Now)
	for i := range peers.MaxReserve {
		if _, granted := r.Reserve([]store.Fact{fact(strconv.Itoa(i), "x")}); !granted {
			t.Fatalf("refused at %d", i)
		}
	}
	if _, granted := r.Reserve([]store.Fact{fact("one more", "x")}); granted {
		t.Error("granted what it cannot remember")
	}
	if _, granted := r.Reserve([]store.Fact{fact("7", "x")}); !granted {
		t.Error("what is remembered already was refused")
	}
	clock.Forward(peers.ReserveFor)
	if _, granted := r.Reserve([]store.Fact{fact("one more", "x")}); !granted {
		t.Error("it does not recover")
	}
}

// Whatever happens in whatever order, a fact has one owner at a time.
func TestAFactHasOneOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := storetest.NewClock()
		r := peers.NewReservations(clock.Now)
		type claim struct {
			by   string
			made []store.Fact
			at   time.Time
		}
		owner := map[string]*claim{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			clock.Forward(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
			by := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "by")
			has := owner[key]
			if has != nil && clock.Now().Sub(has.at) >= peers.ReserveFor {
				has = nil
			}
			if has != nil && rapid.Bool().Draw(t, "release") {
				r.Release(has.made)
				delete(owner, key)
				continue
			}
			made, granted := r.Reserve([]store.Fact{fact(key, by)})
			if want := has == nil || has.by == by; granted != want {
				t.Fatalf("%s for %s: granted %v, want %v", key, by, granted, want)
			}
			if granted && has == nil {
				owner[key] = &claim{by, made, clock.Now()}
			}
		}
	})
}
