package stories

import (
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/test/house"
)

func TestAnActionIsShownInFullAndWhatWasSignedCanBeProvedAfterwards(t *testing.T) {
	house.EachOnPrimary(t, func(t *testing.T, h *house.House) {
		alice, phone := withVerify(h, "alice")
		action := flow.SensitiveAction{Account: alice.Account, Application: "Harbour Payroll", Reference: "run-11", Message: "Payroll for November",
			Details: []flow.Detail{{Label: "Payee", Value: "Rosa Lind"}, {Label: "Amount", Value: "12,400.00 EUR"}}}
		asked, why, err := h.Flow.AskAction(t.Context(), action)
		if err != nil || why != nil || asked.Digits != "" {
			t.Fatal(asked, why, err)
		}
		again, _, err := h.Flow.AskAction(t.Context(), action)
		if err != nil || again.ID != asked.ID {
			t.Errorf("asked twice: %s and %s, %v", asked.ID, again.ID, err)
		}
		action.Details[1].Value = "99,400.00 EUR"
		if _, why, err := h.Flow.AskAction(t.Context(), action); err != nil || why == nil || why.Code != fault.NotAsked {
			t.Errorf("another amount under the same name: %v %v", why, err)
		}
		q := phone.TheQuestion()
		for _, part := range []string{"Harbour Payroll", "Rosa Lind", "12,400.00 EUR", "Payroll for November"} {
			if !strings.Contains(q.Text, part) {
				t.Errorf("the phone does not show %s: %s", part, q.Text)
			}
		}
		forged := q
		forged.Text = strings.Replace(q.Text, "12,400", "99,400", 1)
		phone.Says(forged, "approve", "").Says("forbidden")
		phone.Says(q, "approve", "").Is(200)
		got, err := h.Flow.ActionState(t.Context(), asked.ID)
		if err != nil || got.State != "approved" || !got.Signed.Stands(got.ID, got.Shown) {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Signed.Stands(got.ID, forged.Text) {
			t.Error("the signature stands for another amount too")
		}
		thief := alice.Elsewhere("192.0.2.9")
		thief.ShowsPassword().Is(200)
		thief.API("/signin/push", nil).Says("not-in-time") // the approval of an action signs nobody in
	})
}

func TestAnActionThatNobodyAnswersRunsOutAndOneThatMisleadsIsRefused(t *testing.T) {
	h := house.New(t, "sqlite:"+t.TempDir()+"/a.db", nil)
	alice, phone := withVerify(h, "alice")
	good := flow.SensitiveAction{Account: alice.Account, Application: "Payroll", Reference: "1", Number: true, Life: 90 * time.Second}
	asked, _, err := h.Flow.AskAction(t.Context(), good)
	if err != nil || len(asked.Digits) != 2 {
		t.Fatal(asked, err)
	}
	h.Clock.Forward(89 * time.Second)
	q := phone.TheQuestion()
	h.Clock.Forward(time.Second)
	phone.Says(q, "approve", asked.Digits).Says("not-in-time")
	if got, err := h.Flow.ActionState(t.Context(), asked.ID); err != nil || got.State != "expired" {
		t.Errorf("%s, %v", got.State, err)
	}
	for name, change := range map[string]func(*flow.SensitiveAction){
		"no account":             func(a *flow.SensitiveAction) { a.Account = "" },
		"no application":         func(a *flow.SensitiveAction) { a.Application = "" },
		"two lines":              func(a *flow.SensitiveAction) { a.Message = "Pay\nnobody" },
		"text that turns around": func(a *flow.SensitiveAction) { a.Message = "Pay \u202eRUE 01" },
		"text that is not seen":  func(a *flow.SensitiveAction) { a.Details = []flow.Detail{{Label: "Payee", Value: "A\u200bB"}} },
		"a value of a page": func(a *flow.SensitiveAction) {
			a.Details = []flow.Detail{{Label: "Payee", Value: strings.Repeat("x", 201)}}
		},
		"a label without a value": func(a *flow.SensitiveAction) { a.Details = []flow.Detail{{Label: "Payee"}} },
		"too many lines":          func(a *flow.SensitiveAction) { a.Details = make([]flow.Detail, 13) },
		"too long":                func(a *flow.SensitiveAction) { a.Life = time.Hour },
	} {
		bad := good
		change(&bad)
		if _, _, err := h.Flow.AskAction(t.Context(), bad); fault.Of(err) != fault.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.Audited()
}

func TestAnAnswerThatWasChangedInTheDatabaseIsFound(t *testing.T) {
	h := house.New(t, "sqlite:"+t.TempDir()+"/a.db", nil)
	alice, phone := withVerify(h, "alice")
	rings(alice)
	phone.Says(phone.TheQuestion(), "deny", "").Is(200)
	if found := h.Audit(); len(found) != 0 {
		t.Fatalf("before: %v", found)
	}
	h.SQL(`UPDATE approvals SET state = 'approved'`)
	if found := h.Audit(); len(found) != 1 || !strings.HasPrefix(found[0], "approval-forged: ") {
		t.Errorf("found %v", found)
	}
}
