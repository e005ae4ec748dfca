package main

import (
	"io"
	"strings"
)

// passphrase makes something to type from a screen: three made-up words of three
// syllables, 54 bits. No word list: a list is known, and syllables read as well.
func passphrase(random io.Reader) (string, error) {
	const consonants, vowels = "bdfgklmnprstvwxz", "aeio" // 64 syllables: a byte has no bias
	var b [9]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	var words strings.Builder
	for i, r := range b {
		if i > 0 && i%3 == 0 {
			words.WriteByte('-')
		}
		words.WriteByte(consonants[r%16])
		words.WriteByte(vowels[r/16%4])
	}
	return words.String(), nil
}
