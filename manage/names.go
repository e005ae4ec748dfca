package manage

import (
	"slices"
	"strconv"

	"gatehouse/authenticators"
	"gatehouse/id"
)

// ownName gives something new a name that none of the account's others has, so that
// whoever has two phones can tell which one is lost: "Chrome on Linux (2)". The ids
// are those of what is new: a change that is sent twice finds itself there.
func (m *Manage) ownName(ch change, name string, own ...id.Authenticator) (string, error) {
	kept, err := authenticators.LoadUsual(ch.tx, m.Keys, ch.account.ID)
	if err != nil {
		return "", err
	}
	return freeName(kept.Named(), name, own), nil
}

func freeName(all []authenticators.Named, name string, own []id.Authenticator) string {
	free := name
	for n := 2; slices.ContainsFunc(all, func(s authenticators.Named) bool { return s.Name == free && !slices.Contains(own, s.ID) }); n++ {
		free = name + " (" + strconv.Itoa(n) + ")"
	}
	return free
}
