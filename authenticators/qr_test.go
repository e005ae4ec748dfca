package authenticators

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"rsc.io/qr"
)

func TestTheDrawingIsTheCodeWithItsQuietZone(t *testing.T) {
	text := KeyURI("Harbour Books", "ana@harbour.example", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").Reveal()
	svg, err := QRSVG(text, "QR code")
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	drawn := drawnModules(t, svg)
	for y := -4; y < code.Size+4; y++ {
		for x := -4; x < code.Size+4; x++ {
			if drawn[[2]int{x + 4, y + 4}] != code.Black(x, y) {
				t.Fatalf("module %d,%d is wrong", x, y)
			}
		}
	}
	if !strings.Contains(svg, fmt.Sprintf(`viewBox="0 0 %d %d"`, code.Size+8, code.Size+8)) {
		t.Error(svg[:200])
	}
}

func drawnModules(t *testing.T, svg string) map[[2]int]bool {
	t.Helper()
	_, path, _ := strings.Cut(svg, `d="`)
	path, _, _ = strings.Cut(path, `"`)
	drawn := map[[2]int]bool{}
	for _, run := range strings.SplitAfter(path, "z") {
		var x, y, n, back int
		if run == "" {
			continue
		}
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1h-%dz", &x, &y, &n, &back); err != nil || n != back || n < 1 {
			t.Fatalf("%q: %v", run, err)
		}
		for i := range n {
			drawn[[2]int{x + i, y}] = true
		}
	}
	return drawn
}

func TestTheDrawingSuitsAStrictPage(t *testing.T) {
	svg, err := QRSVG("x", `Code for "Ana" <b>`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`role="img"`, `aria-label="Code for &#34;Ana&#34; &lt;b&gt;"`, `fill="#fff"`, `fill="#000"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(svg, "style") || strings.Count(svg, "<path") != 1 || strings.Count(svg, "<rect") != 1 {
		t.Error("a style, or more than one path and one rect")
	}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := QRSVG(strings.Repeat("x", 10_000), ""); err == nil {
		t.Error("a text that fits no code must be an error")
	}
}
