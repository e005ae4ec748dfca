package notices

import (
	_ "embed"
	"html/template"
	"strings"
)

//go:embed mail.html
var htmlSource string

var htmlLayout = template.Must(template.New("mail").Parse(htmlSource))

func (l letter) html() (string, error) {
	var b strings.Builder
	err := htmlLayout.Execute(&b, l)
	return b.String(), err
}

// text lays the letter out for programs and people that want none of HTML.
func (l letter) text() string {
	blocks := []string{l.Greeting, l.Lead}
	if l.Link != "" {
		blocks = append(blocks, l.Button+":\n"+l.Link, l.Until)
	}
	if len(l.Facts) > 0 {
		blocks = append(blocks, l.factLines())
	}
	blocks = append(blocks, l.Advice...)
	if l.AdviceLink != "" {
		blocks = append(blocks, l.AdviceButton+":\n"+l.AdviceLink)
	}
	// RFC 3676 §4.3: what follows "-- " is the signature.
	return strings.Join(blocks, "\n\n") + "\n\n-- \n" + strings.Join(l.Footer, "\n") + "\n"
}

func (l letter) factLines() string {
	var lines []string
	for _, f := range l.Facts {
		lines = append(lines, f.Label+": "+f.Value)
	}
	return strings.Join(lines, "\n")
}
