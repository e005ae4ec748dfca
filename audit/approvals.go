package audit

import (
	"gatehouse/authenticators"
	"gatehouse/id"
	"gatehouse/store"
)

// approvals: whatever a device answered is signed by its key over what was shown,
// and the question stands as the answer says.
func (r *run) approvals() error {
	var after id.Approval
	for {
		var all []authenticators.Approval
		err := r.read(func(tx *store.Tx) (err error) {
			if all, err = authenticators.ApprovalsAfter(tx, r.Keys, after, page); err != nil {
				return err
			}
			for _, a := range all {
				if err := r.approval(tx, a); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(all) == 0 {
			return err
		}
		after = all[len(all)-1].ID
	}
}

func (r *run) approval(tx *store.Tx, a authenticators.Approval) error {
	if !a.Signed.Stands(a.ID, a.Shown) || a.State != a.Signed.Makes(a.Digits) {
		r.add(Finding{Check: ApprovalForged, Account: a.Account, Subject: string(a.ID)})
		return nil
	}
	c, found, err := authenticators.DeviceByID(tx, r.Keys, a.Credential)
	if err != nil || !found { // the device is gone, its signature stays
		return err
	}
	d, err := authenticators.DeviceOf(c)
	if err == nil && (d.Key != a.Signed.Key || c.Account != a.Account) {
		r.add(Finding{Check: ApprovalForged, Account: a.Account, Subject: string(a.ID)})
	}
	return err
}
