package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"gatehouse/seal"
)

// maxSecret bounds what is read for one secret: more is no password.
const maxSecret = 4096

// askSecret asks for one line. On a terminal it is typed unseen; from a pipe it
// is read as it comes.
func (p *program) askSecret(question string) (seal.Secret, error) {
	if !isatty.IsTerminal(p.in.Fd()) {
		return readLine(p.in)
	}
	show, err := hideTyping(p.in)
	if err != nil {
		return "", next(fmt.Errorf("cannot hide what is typed here: %w", err), "give the password through a pipe from a file instead")
	}
	fmt.Fprint(p.err, question)
	secret, err := readLine(p.in)
	fmt.Fprintln(p.err)
	return secret, errors.Join(err, show())
}

func readLine(in *os.File) (seal.Secret, error) {
	text, err := bufio.NewReader(io.LimitReader(in, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", errors.New("nothing was typed")
	}
	return seal.Secret(text), nil
}
