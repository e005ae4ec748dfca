package web

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/fault"
	"gatehouse/flow"
	"gatehouse/seal"
)

// described is openapi.json, loosely.
func described(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func keysOf(v any) []string {
	m, _ := v.(map[string]any)
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestTheDescriptionHasExactlyTheRoutes(t *testing.T) {
	var served, told []string
	for _, rt := range new(Server).routes() {
		if rt.sort == anAPI {
			served = append(served, strings.ToLower(rt.method)+" "+rt.path)
		}
	}
	paths := at(described(t), "paths")
	for _, path := range keysOf(paths) {
		for _, method := range keysOf(at(paths, path)) {
			told = append(told, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("served %q\ntold   %q", served, told)
	}
}

func TestTheDescriptionIsServed(t *testing.T) {
	h := buildHouse(t, site)
	res := h.send(request("GET", "/api/openapi.json", ""))
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" || bodyOf(t, res) != string(openAPI) {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	if v := at(described(t), "openapi"); v != "3.1.0" {
		t.Errorf("version %v", v)
	}
}

func TestTheDescriptionKnowsEveryFault(t *testing.T) {
	var want []any
	for _, c := range fault.Codes() {
		want = append(want, string(c))
	}
	told := at(described(t), "components", "schemas", "Error", "properties", "error", "properties", "code", "enum")
	if got := told.([]any); len(got) != len(want) || !containsAll(got, want) {
		t.Errorf("told %v, there are %v", got, want)
	}
}

func containsAll(have, want []any) bool {
	return !slices.ContainsFunc(want, func(w any) bool { return !slices.Contains(have, w) })
}

// Every operation tells every answer that the way to its handler can give.
func TestEveryOperationTellsTheErrorsThatAllHave(t *testing.T) {
	d := described(t)
	for path, methods := range at(d, "paths").(map[string]any) {
		for method, op := range methods.(map[string]any) {
			want := []string{"421", "500"}
			if method == "post" {
				want = append(want, "400", "403", "413", "415", "503")
			}
			for _, status := range want {
				if at(op, "responses", status) == nil {
					t.Errorf("%s %s does not tell %s", method, path, status)
				}
			}
			if at(op, "operationId") == nil || at(op, "summary") == nil {
				t.Errorf("%s %s has no name", method, path)
			}
		}
	}
}

func TestSchemasNameWhatTheCodeSends(t *testing.T) {
	d := described(t)
	for name, v := range map[string]any{"Step": apiStep{}, "App": apiApp{}, "Session": apiTicket{}, "Error": apiError{}, "Wait": apiWait{}, "Way": apiWay{}, "Reason": apiReason{}, "Strength": apiStrong{}} {
		var sent []string
		for f := range reflect.TypeOf(v).Fields() {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			sent = append(sent, tag)
		}
		slices.Sort(sent)
		if told := keysOf(at(d, "components", "schemas", name, "properties")); !slices.Equal(sent, told) {
			t.Errorf("%s: sent %v, told %v", name, sent, told)
		}
	}
	steps := []any{flow.Password, flow.Code, flow.Passkey, flow.Approve, flow.Text, flow.Recovery, flow.LinkSent, flow.NewPassword, flow.Enrol, flow.RecoveryCodes, flow.Done}
	for i, s := range steps {
		steps[i] = string(s.(flow.Step))
	}
	if told := at(d, "components", "schemas", "StepName", "enum").([]any); len(told) != len(steps) || !containsAll(told, steps) {
		t.Errorf("steps told: %v", told)
	}
}

// examples walks the whole description and yields each schema with an example.
func examples(v any, where string, yield func(where string, schema, example any)) {
	switch v := v.(type) {
	case map[string]any:
		if v["schema"] != nil {
			all, _ := v["examples"].(map[string]any)
			for name, e := range all {
				yield(where+" "+name, v["schema"], at(e, "value"))
			}
		}
		for k, inner := range v {
			examples(inner, where+"/"+k, yield)
		}
	case []any:
		for i, inner := range v {
			examples(inner, fmt.Sprint(where, "/", i), yield)
		}
	}
}

func TestEveryExampleIsOfItsSchema(t *testing.T) {
	d := described(t)
	n := 0
	examples(d, "", func(where string, schema, example any) {
		n++
		for _, wrong := range invalid(d, schema, example, "$") {
			t.Errorf("%s: %s", where, wrong)
		}
	})
	if n < 40 {
		t.Errorf("only %d examples found", n)
	}
	for path, methods := range at(d, "paths").(map[string]any) {
		if post := at(methods, "post"); post != nil && len(keysOf(at(post, "requestBody", "content", "application/json", "examples"))) == 0 {
			t.Errorf("%s has no example of a request", path)
		}
	}
}

// What the server really sends is of its schema too.
func TestRealAnswersAreOfTheirSchema(t *testing.T) {
	h := buildHouse(t, site)
	d := described(t)
	token, made := h.ticket(t)
	outcomes := map[string]flow.Outcome{
		"Step code":  {Next: flow.Code, Attempt: "a", View: flow.View{Purpose: flow.SignIn, Email: "a@b.example", Other: []flow.Step{flow.Recovery}, Ways: []flow.Way{{Step: flow.Text, Method: "sms", ID: "0199f000-0000-7000-8000-00000000000a", Label: "+351 ••• ••42"}}}},
		"Step enrol": {Next: flow.Enrol, Attempt: "a", View: flow.View{Secret: "JBSWY3DPEHPK3PXP", URI: "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"}},
		"Step codes": {Next: flow.RecoveryCodes, Attempt: "a", View: flow.View{Codes: []seal.Secret{"AAAA-BBBB"}}},
		"Step done":  {Next: flow.Done, Ticket: token, Session: made},
		"Error":      {Next: flow.NewPassword, Attempt: "a", Refusal: &flow.Refusal{Code: fault.PasswordRefused, Hint: "product.name", Reasons: []fault.Reason{{Key: "product.name"}}}},
	}
	for name, out := range outcomes {
		h.flow.answer = func(flow.Input) (flow.Outcome, error) { return out, nil }
		body := bodyOf(t, h.send(request("POST", "/api/v1/signin", `{"email":"a@b.example"}`)))
		h.holdsSchema(t, d, name, body)
		if strings.Contains(body, "[secret]") {
			t.Errorf("%s: a secret that should be told is hidden: %s", name, body)
		}
	}
	h.holdsSchema(t, d, "ActiveSession", bodyOf(t, h.send(request("GET", sessionPath, "", "Authorization: Bearer "+token))))
	h.holdsSchema(t, d, "Error", bodyOf(t, h.send(request("GET", sessionPath, ""))))
	h.holdsSchema(t, d, "Strength", bodyOf(t, h.send(request("POST", "/api/v1/password-strength", `{"password":"password","attempt":"sealed-attempt"}`))))
}

func (h *house) holdsSchema(t *testing.T, d any, name, body string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, body)
	}
	schema, _, _ := strings.Cut(name, " ")
	for _, wrong := range invalid(d, map[string]any{"$ref": "#/components/schemas/" + schema}, v, "$") {
		t.Errorf("%s: %s\n%s", name, wrong, body)
	}
	for _, k := range keysOf(v) {
		if at(d, "components", "schemas", schema, "properties", k) == nil {
			t.Errorf("%s: %q is not told", name, k)
		}
	}
}

func TestTheSchemaCheckCanFail(t *testing.T) {
	d := described(t)
	for _, c := range []struct{ schema, value string }{
		{"Step", `{}`}, {"Step", `{"next":"nowhere"}`}, {"Step", `{"next":"totp","attempt":7}`}, {"Step", `{"next":"totp","other":["x"]}`},
		{"Error", `{"error":{"code":"nonsense","sentence":"x","request_id":"7K3M-9QXT-2BVD"}}`},
		{"Error", `{"error":{"code":"internal","sentence":"x","request_id":"short"}}`},
		{"Strength", `{"score":5,"label":"x","acceptable":true,"reasons":[]}`}, {"Strength", `{"score":1.5,"label":"x","acceptable":true,"reasons":[]}`},
		{"ActiveSession", `{"active":false,"account":"a","session":"s","amr":[],"auth_time":1,"idle_until":1,"absolute_until":1}`},
	} {
		var v any
		if err := json.Unmarshal([]byte(c.value), &v); err != nil {
			t.Fatal(err)
		}
		if len(invalid(d, map[string]any{"$ref": "#/components/schemas/" + c.schema}, v, "$")) == 0 {
			t.Errorf("%s passes as %s", c.value, c.schema)
		}
	}
}

// invalid is the part of JSON Schema 2020-12 that openapi.json uses; a keyword
// it does not know is an error, so that none goes unchecked.
func invalid(doc, schema, v any, where string) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, where+": "+fmt.Sprintf(format, args...)) }
	s, ok := schema.(map[string]any)
	if !ok {
		return []string{where + ": no schema"}
	}
	for keyword, want := range s {
		switch keyword {
		case "description", "format":
		case "$ref":
			path := strings.Split(strings.TrimPrefix(want.(string), "#/"), "/")
			wrong = append(wrong, invalid(doc, at(doc, path...), v, where)...)
		case "type":
			if !isType(v, want.(string)) {
				say("%v is not of type %s", v, want)
			}
		case "const":
			if !reflect.DeepEqual(v, want) {
				say("%v is not %v", v, want)
			}
		case "enum":
			if !slices.Contains(want.([]any), v) {
				say("%v is not one of %v", v, want)
			}
		case "required":
			for _, name := range want.([]any) {
				if m, ok := v.(map[string]any); ok && m[name.(string)] == nil {
					say("%v is missing", name)
				}
			}
		case "properties":
			for name, inner := range want.(map[string]any) {
				if m, ok := v.(map[string]any); ok && m[name] != nil {
					wrong = append(wrong, invalid(doc, inner, m[name], where+"."+name)...)
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, e := range list {
				wrong = append(wrong, invalid(doc, want, e, fmt.Sprint(where, "[", i, "]"))...)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
				say("%q does not match %v", text, want)
			}
		case "maxLength":
			if text, ok := v.(string); ok && float64(len(text)) > want.(float64) {
				say("longer than %v", want)
			}
		case "minimum", "maximum":
			n, ok := v.(float64)
			if bound := want.(float64); ok && (keyword == "minimum" && n < bound || keyword == "maximum" && n > bound) {
				say("%v is beyond %s %v", n, keyword, bound)
			}
		default:
			say("this check does not know the keyword %q", keyword)
		}
	}
	return wrong
}

func isType(v any, want string) bool {
	switch v := v.(type) {
	case map[string]any:
		return want == "object"
	case []any:
		return want == "array"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == float64(int64(v))
	}
	return want == "null"
}
