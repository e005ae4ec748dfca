// Package access knows organisations, who belongs to them in which role, what a
// role may do, and how strong a proof something asks for.
package access

import (
	"slices"

	"gatehouse/proof"
)

// Role is what a person is in one organisation.
type Role string

const (
	Owner         Role = "owner"
	SecurityAdmin Role = "security-admin"
	Supporter     Role = "supporter"
	Bookkeeper    Role = "bookkeeper"
	Developer     Role = "developer"
)

// Roles lists every role, most powerful first.
func Roles() []Role { return []Role{Owner, SecurityAdmin, Supporter, Bookkeeper, Developer} }

// Permission is one thing a role may do.
type Permission string

const (
	UseAccount     Permission = "account.use"     // sign in, look after one's own account
	ReadPolicy     Permission = "policy.read"     // see the security policy in force
	WritePolicy    Permission = "policy.write"    // say which authenticators are accepted
	ManageAccounts Permission = "accounts.manage" // invite, disable, enable, lock, unlock
	ReadAccounts   Permission = "accounts.read"   // see who there is
	ReadEvents     Permission = "events.read"     // see what happened
	ManageClients  Permission = "clients.manage"  // register applications
)

// permissions is the one table. What is not here is not allowed.
var permissions = map[Role][]Permission{
	Owner:         {UseAccount, ReadPolicy, WritePolicy, ReadAccounts, ManageAccounts, ReadEvents, ManageClients},
	SecurityAdmin: {UseAccount, ReadPolicy, WritePolicy, ReadAccounts, ManageAccounts, ReadEvents},
	Supporter:     {UseAccount, ReadPolicy, ReadAccounts},
	Bookkeeper:    {UseAccount},
	Developer:     {UseAccount, ReadPolicy, ManageClients},
}

// Known tells whether a text names a role.
func Known(r Role) bool { return slices.Contains(Roles(), r) }

// Can tells whether a role has a permission; an unknown role has none.
func Can(r Role, p Permission) bool { return slices.Contains(permissions[r], p) }

// LookAfterOthers tells whether somebody may, anywhere, see or change what is not
// their own. Their sessions are never stretched (sessions.Ticket.Lenient).
func LookAfterOthers(ms []Membership) bool {
	return slices.ContainsFunc(ms, func(m Membership) bool {
		return !Known(m.Role) || Can(m.Role, ReadAccounts) || Can(m.Role, ManageAccounts) || Can(m.Role, ManageClients)
	})
}

// Required is the assurance that a session needs. It is the same for everybody
// and there is no setting below it: two different factors, always. Risk and
// policy will only ever raise it.
func Required() proof.Level { return proof.AAL2 }
