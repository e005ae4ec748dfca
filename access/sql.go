package access

import (
	"errors"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/store"
)

// Organisation is a business whose members sign in.
type Organisation struct {
	ID     id.Organisation
	Name   string
	MadeAt time.Time
}

// Membership ties a person to an organisation.
type Membership struct {
	Organisation id.Organisation
	Name         string // the organisation's
	Account      id.Account
	Role         Role
}

// AddOrganisation adds an organisation.
func AddOrganisation(tx *store.Tx, o Organisation) error {
	_, err := tx.Exec(`INSERT INTO organisations (id, name, made_at, version, node) VALUES ($1, $2, $3, 1, $4)`,
		o.ID, o.Name, store.Micros(tx.Now()), tx.Node())
	return err
}

// OrganisationByName finds an organisation by its exact name.
func OrganisationByName(tx *store.Tx, name string) (Organisation, bool, error) {
	var o Organisation
	var made int64
	err := tx.Row(`SELECT id, name, made_at FROM organisations WHERE name = $1 ORDER BY made_at LIMIT 1`, name).Scan(&o.ID, &o.Name, &made)
	if errors.Is(err, store.ErrNoRows) {
		return o, false, nil
	}
	o.MadeAt = store.Time(made)
	return o, err == nil, err
}

// Join makes an account a member in a role, or changes the role it has.
func Join(tx *store.Tx, o id.Organisation, a id.Account, r Role) error {
	if !Known(r) {
		return errors.New("access: no such role: " + string(r))
	}
	_, err := tx.Exec(`INSERT INTO memberships (organisation, account, role, made_at, version, node) VALUES ($1, $2, $3, $4, 1, $5)
		ON CONFLICT (organisation, account) DO UPDATE SET role = excluded.role, version = memberships.version + 1, node = excluded.node`,
		o, a, r, store.Micros(tx.Now()), tx.Node())
	return err
}

// Memberships lists where an account belongs, by the organisation's name.
func Memberships(tx *store.Tx, a id.Account) ([]Membership, error) {
	rows, err := tx.Rows(`SELECT m.organisation, o.name, m.account, m.role FROM memberships m JOIN organisations o ON o.id = m.organisation
		WHERE m.account = $1 ORDER BY o.name, o.id`, a)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Membership
	for rows.Next() {
		var m Membership
		if err := rows.Scan(&m.Organisation, &m.Name, &m.Account, &m.Role); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// OrganisationNames lists the names of the organisations an account belongs to.
func OrganisationNames(tx *store.Tx, a id.Account) ([]string, error) {
	members, err := Memberships(tx, a)
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return names, err
}

// LooksAfterOthers tells whether an account may manage other people's in any
// organisation: an owner or a security admin.
func LooksAfterOthers(tx *store.Tx, a id.Account) (bool, error) {
	members, err := Memberships(tx, a)
	return slices.ContainsFunc(members, func(m Membership) bool { return Can(m.Role, ManageAccounts) }), err
}

// Admins lists the accounts that may manage others in the organisations that an
// account belongs to.
func Admins(tx *store.Tx, of id.Account) ([]id.Account, error) {
	rows, err := tx.Rows(`SELECT DISTINCT m.account, m.role FROM memberships m JOIN memberships o ON o.organisation = m.organisation
		WHERE o.account = $1 ORDER BY m.account`, of)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []id.Account
	for rows.Next() {
		var a id.Account
		var r Role
		if err := rows.Scan(&a, &r); err != nil {
			return nil, err
		}
		if Can(r, ManageAccounts) && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, rows.Err()
}
