package stories

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/authenticators"
	"gatehouse/seal"
	"gatehouse/test/house"
)

func TestANewAppMakesItsCodesAsTheOperatorChose(t *testing.T) {
	house.Each(t, func(t *testing.T, h *house.House) {
		how := authenticators.Making{Algorithm: "SHA512", Digits: 8, Period: 60}
		h.Flow.Apps, h.Manage.Apps = how, how
		ines := h.Invited("ines")
		ines.API("/link", map[string]any{"token": h.Link(ines.Email, "invitation")}).Asks("new-password")
		asked := ines.API("/signin/new-password", map[string]any{"password": ines.Password}).Asks("enrol-totp")
		u, err := url.Parse(asked.Field("enrol.uri"))
		if err != nil || u.Query().Get("algorithm") != "SHA512" || u.Query().Get("digits") != "8" || u.Query().Get("period") != "60" {
			t.Fatalf("%v %s", err, asked.Body)
		}
		secret := h.Secret("an authenticator app's secret", asked.Field("enrol.secret"))
		app := how.New("", seal.Secret(secret), h.Clock.Now())
		code := func() string {
			h.Clock.Forward(time.Minute)
			c, err := app.CodeAt(h.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			return h.Secret("a one-time code", c.Reveal())
		}
		ines.Phone = secret
		ines.API("/signin/enrol-totp", map[string]any{"code": ines.Code()}).Says("wrong-code") // what an app shows that ignores the link
		ines.Keeps(ines.API("/signin/enrol-totp", map[string]any{"code": code()}).Asks("recovery-codes").List("recovery_codes"))
		ines.API("/signin/recovery-codes", map[string]any{"confirmed": true}).Asks("done")
		h.Flow.Apps = authenticators.Making{} // the next one gets the usual again; hers stays
		h.Settled()
		h.Dark()
		there := ines.Elsewhere("203.0.113.7")
		there.ShowsPassword().Asks("totp")
		c := code()
		there.ShowsCode(strings.Join(strings.Split(c, ""), " ")).Asks("done")
	})
}
