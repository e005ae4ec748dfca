package access_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"gatehouse/access"
	"gatehouse/id"
	"gatehouse/proof"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// The whole table, written once more: a change of it is a change of who may what.
func TestWhoMayWhat(t *testing.T) {
	may := map[access.Role]string{
		access.Owner:         "account.use policy.read policy.write accounts.read accounts.manage events.read clients.manage",
		access.SecurityAdmin: "account.use policy.read policy.write accounts.read accounts.manage events.read",
		access.Supporter:     "account.use policy.read accounts.read",
		access.Bookkeeper:    "account.use",
		access.Developer:     "account.use policy.read clients.manage",
	}
	all := []access.Permission{access.UseAccount, access.ReadPolicy, access.WritePolicy, access.ManageAccounts, access.ReadAccounts, access.ReadEvents, access.ManageClients}
	for _, r := range access.Roles() {
		if !access.Known(r) {
			t.Errorf("%s is not known", r)
		}
		for _, p := range all {
			want := slices.Contains(strings.Fields(may[r]), string(p))
			if got := access.Can(r, p); got != want {
				t.Errorf("%s, %s: %v", r, p, got)
			}
		}
	}
	if len(access.Roles()) != len(may) {
		t.Error("a role that is not in this table")
	}
	for _, nobody := range []access.Role{"", "root", "Owner", "owner "} {
		if access.Known(nobody) {
			t.Errorf("%q is known", nobody)
		}
		for _, p := range append(all, "", "everything") {
			if access.Can(nobody, p) {
				t.Errorf("%q may %s", nobody, p)
			}
		}
	}
	if access.Can(access.Owner, "everything") {
		t.Error("a permission nobody has named")
	}
}

func TestWhoLooksAfterOthers(t *testing.T) {
	for _, c := range []struct {
		roles string
		want  bool
	}{
		{"", false}, {"bookkeeper", false}, {"bookkeeper bookkeeper", false},
		{"owner", true}, {"security-admin", true}, {"supporter", true}, {"developer", true},
		{"bookkeeper owner", true}, {"root", true},
	} {
		var ms []access.Membership
		for role := range strings.FieldsSeq(c.roles) {
			ms = append(ms, access.Membership{Role: access.Role(role)})
		}
		if got := access.LookAfterOthers(ms); got != c.want {
			t.Errorf("%q: %v", c.roles, got)
		}
	}
}

func TestEverySessionNeedsTwoFactors(t *testing.T) {
	if access.Required() != proof.AAL2 {
		t.Error("there is a way in on less than two proofs")
	}
}

func TestPeopleBelongToOrganisations(t *testing.T) {
	clock := storetest.NewClock()
	storetest.EachWith(t, func(o *store.Options) { o.Now = clock.Now }, func(t *testing.T, s *store.Store) {
		now := clock.Now()
		quay := access.Organisation{ID: id.New[id.Organisation](now, rand.Reader), Name: "Quay"}
		harbour := access.Organisation{ID: id.New[id.Organisation](now, rand.Reader), Name: "Harbour Books"}
		alice, bob := id.New[id.Account](now, rand.Reader), id.New[id.Account](now, rand.Reader)
		err := s.Do(t.Context(), func(tx *store.Tx) error {
			for _, o := range []access.Organisation{quay, harbour} {
				if err := access.AddOrganisation(tx, o); err != nil {
					return err
				}
			}
			for _, m := range []struct {
				o id.Organisation
				a id.Account
				r access.Role
			}{{quay.ID, alice, access.Bookkeeper}, {harbour.ID, alice, access.Supporter}, {quay.ID, bob, access.Owner}, {quay.ID, alice, access.Developer}} {
				if err := access.Join(tx, m.o, m.a, m.r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Read(t.Context(), func(tx *store.Tx) error {
			ms, err := access.Memberships(tx, alice)
			if err != nil || len(ms) != 2 || ms[0].Name != "Harbour Books" || ms[0].Role != access.Supporter || ms[1].Role != access.Developer {
				t.Errorf("%+v %v", ms, err)
			}
			names, err := access.OrganisationNames(tx, bob)
			if err != nil || !slices.Equal(names, []string{"Quay"}) {
				t.Errorf("%v %v", names, err)
			}
			o, found, err := access.OrganisationByName(tx, "Quay")
			if err != nil || !found || o.ID != quay.ID || !o.MadeAt.Equal(now) {
				t.Errorf("%+v %v %v", o, found, err)
			}
			if _, found, err := access.OrganisationByName(tx, "quay"); found || err != nil {
				t.Errorf("another spelling: %v %v", found, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Do(t.Context(), func(tx *store.Tx) error { return access.Join(tx, quay.ID, bob, "root") }); err == nil {
			t.Error("a role nobody knows")
		}
		if err := s.Do(t.Context(), func(tx *store.Tx) error { return access.Join(tx, "none", bob, access.Owner) }); err == nil {
			t.Error("an organisation nobody knows")
		}
	})
}
