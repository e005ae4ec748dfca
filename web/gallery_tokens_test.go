package web

import (
	"time"

	"gatehouse/fault"
)

// tokenPictures are the pages about hardware tokens, in every state.
func tokenPictures(out, in Frame) []picture {
	bad := func(code fault.Code, field, sentence, hint string) Form {
		f := wrong(code, field)
		if sentence != "" {
			f.Problem.Sentence = Say(sentence)
		}
		if hint != "" {
			f.Problem.Hint = Say(hint)
		}
		return f
	}
	limited := bad(fault.TooManyTries, "", "", "")
	limited.Problem.RetryAfter = 14 * time.Minute
	one := []TokenItem{{"0197a", "Code token 1001"}}
	two := append(one, TokenItem{"0197b", longName})
	list := Authenticators{Items: []Authenticator{{ID: "0197a", Kind: "hotp", Name: "Code token 1001", MadeAt: galleryNow, Resync: resyncPath + "?id=0197a", Last: true}}}
	return []picture{
		{"code-token", out, Code{Form: bad(fault.WrongCode, FieldCode, "token.hint.again", ""), Email: "ana@harbour.example", Token: true}, FieldCode},
		{"code-token-fresh", out, Code{Form: Form{Action: "/fresh/code"}, Email: "ana@harbour.example", Token: true, Fresh: true}, ""},
		{"code-token-reset", out, Code{Form: Form{Attempt: "0197"}, Email: "ana@harbour.example", Token: true, Reset: true}, ""},
		{"token-new", in, TokenNew{}, ""},
		{"token-new-wrong", in, TokenNew{Form: bad(fault.WrongCode, FieldCode, "tokens.wrong", ""), Serial: "GAL-1001"}, FieldCode},
		{"token-new-ahead", in, TokenNew{Form: bad(fault.WrongCode, FieldCode, "tokens.wrong", "token.hint.again"), Serial: "GAL-1001"}, FieldCode},
		{"token-new-limited", in, TokenNew{Form: limited, Serial: longName}, ""},
		{"token-resync", in, TokenResync{Items: one, Chosen: "0197a"}, ""},
		{"token-resync-two", in, TokenResync{Items: two, Chosen: "0197b"}, ""},
		{"token-resync-wrong", in, TokenResync{Form: bad(fault.WrongCode, FieldFirst, "tokens.resync-wrong", "token.hint.used"), Items: one, Chosen: "0197a"}, FieldFirst},
		{"authenticators-token", in, list, ""},
	}
}
