package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// HealthcheckCommand asks the management listener, so that a container image
// needs no curl.
type HealthcheckCommand struct {
	URL   string `placeholder:"URL" help:"The management address, such as http://127.0.0.1:9090. Without it, management.listen of the configuration."`
	Ready bool   `help:"Ask whether it can serve people (/readyz) and not only whether it lives (/livez). Restart on the second, never on the first."`
}

// Run exits with 0 when the server answers 200.
func (c *HealthcheckCommand) Run(ctx context.Context, p *program) error {
	base := c.URL
	if base == "" {
		base = "http://" + reachable(p.load(nil).Management)
	}
	url := base + either(c.Ready, "/readyz", "/livez")
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return next(fmt.Errorf("nothing answers: %w", err), "see whether it runs (systemctl status gatehouse) and that management.listen is this address")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return next(fmt.Errorf("%s answered %s: %s", url, resp.Status, bytes.TrimSpace(body)), "look at the checks above and at the log")
	}
	fmt.Fprintln(p.out, statusOf(body))
	return nil
}

func statusOf(body []byte) string {
	var answer struct{ Status string }
	if json.Unmarshal(body, &answer) != nil || answer.Status == "" {
		return "ok"
	}
	return answer.Status
}

// reachable turns an address to listen on into one to connect to.
func reachable(listen string) string {
	host, port, ok := cutPort(listen)
	if !ok {
		return listen
	}
	if isWildcard(listen) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
