package authenticators

import (
	"fmt"
	"html"
	"strings"

	"rsc.io/qr"
)

// quiet is the white border of a QR code in modules (ISO/IEC 18004 §6.3.8); it
// stays white in a dark page, or cameras do not find the code.
const quiet = 4

// QRSVG draws a text as an SVG: black on its own white ground, one path, no
// style attribute (the CSP forbids them), label read aloud by screen readers.
// A text too long for a QR code is an error.
func QRSVG(text, label string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	side := code.Size + 2*quiet
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" shape-rendering="crispEdges">`,
		side, side, html.EscapeString(label))
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, side, side)
	drawRuns(&s, code)
	s.WriteString(`"/></svg>`)
	return s.String(), nil
}

// drawRuns draws each horizontal run of black modules as one rectangle.
func drawRuns(s *strings.Builder, code *qr.Code) {
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				fmt.Fprintf(s, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, n, n)
			}
		}
	}
}
