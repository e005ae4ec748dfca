package authenticators

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/seal"
)

// RangeBudget is how long a person waits for a range server at most.
const RangeBudget = 300 * time.Millisecond

// maxRangeReply bounds a reply: a padded range is about 60 KB.
const maxRangeReply = 1 << 20

// Ranges asks a k-anonymity server (the range API of Have I Been Pwned, or a copy
// of it) whether a password leaked. The server sees five hex digits of its SHA-1
// and the padding hides how long its answer is. It is off unless configured.
type Ranges struct {
	Client *http.Client
	Base   string        // from the configuration only, as "https://api.pwnedpasswords.com/range/"
	Budget time.Duration // 0 means RangeBudget
	Failed func(error)   // told why an answer is missing; may be nil
}

// Contains tells whether a password leaked. known is false when the server did
// not answer in time or at all: the sign-in goes on without it (it fails open).
// A nil Ranges knows nothing.
func (r *Ranges) Contains(ctx context.Context, pw seal.Secret) (found, known bool) {
	if r == nil || r.Base == "" {
		return false, false
	}
	budget := r.Budget
	if budget == 0 {
		budget = RangeBudget
	}
	ctx, stop := context.WithTimeout(ctx, budget)
	defer stop()
	sum := sha1.Sum([]byte(pw.Reveal()))
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	found, err := r.ask(ctx, digits[:5], digits[5:])
	if err != nil && r.Failed != nil {
		r.Failed(err)
	}
	return found, err == nil
}

func (r *Ranges) ask(ctx context.Context, prefix, rest string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.Base, "/")+"/"+prefix, nil)
	if err != nil {
		return false, withoutAddress(err)
	}
	req.Header.Set("Add-Padding", "true")
	resp, err := r.Client.Do(req)
	if err != nil {
		return false, withoutAddress(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("authenticators: the range server answered %s", resp.Status)
	}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxRangeReply))
	for lines.Scan() {
		suffix, count, _ := bytes.Cut(bytes.TrimSpace(lines.Bytes()), []byte(":"))
		if bytes.EqualFold(suffix, []byte(rest)) && !bytes.Equal(count, []byte("0")) { // 0: padding
			return true, nil
		}
	}
	return false, lines.Err()
}

// withoutAddress drops the URL from an error: it holds the five digits.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("authenticators: the range server did not answer: %w", u.Err)
	}
	return err
}
