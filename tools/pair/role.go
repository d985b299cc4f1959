package pair

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Role is heliotx or heliorx with its configuration. It may be started, ended and
// started again.
type Role struct {
	Program    string // path
	Config     string // path
	StatusPort int
	*Process   // nil until Start
}

// Start starts the role.
func (r *Role) Start() (err error) {
	r.Process, err = Start(r.Program, "--config", r.Config)
	return err
}

var client = http.Client{Timeout: 5 * time.Second}

// maxBody bounds what a role's status port may answer, in bytes.
const maxBody = 4 << 20

// Get returns what the role's status port answers.
func (r *Role) Get(path string) (body []byte, code int, err error) {
	a, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", r.StatusPort, path))
	if err != nil {
		return nil, 0, err
	}
	defer a.Body.Close()
	body, err = io.ReadAll(io.LimitReader(a.Body, maxBody))
	return body, a.StatusCode, err
}

// Ready returns nil, or why the role is not ready, as its /readyz says.
func (r *Role) Ready() error {
	body, code, err := r.Get("/readyz")
	if err == nil && code != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(r.Program), err)
	}
	return nil
}

// Status is the part of /status.json that tools and tests read.
type Status struct {
	Channels map[string]Channel
	Link     struct {
		Epoch, Frames, Bytes, Repaired, Lost, Replayed uint64
		CRCErrors                                      uint64 `json:"crc_errors"`
		AuthFailures                                   uint64 `json:"auth_failures"`
	}
	Replay *Replay
	Notes  []struct{ Event string }
}

// Replay is what can be sent again.
type Replay struct {
	WindowSeconds float64 `json:"window_seconds"`
}

// Channel is a channel of Status.
type Channel struct {
	Sent, Dropped, Delivered, Healed, Refused, Expired, Conflated, Lost, Unknown uint64
	OpenHoles                                                                    uint64 `json:"open_holes"`
	OpenRecords                                                                  uint64 `json:"open_records"`
	Complete                                                                     bool
	SourceState                                                                  string `json:"source_state"`
	SourceReason                                                                 string `json:"source_reason"`
}

// Accounted is what the receiver has of a channel: delivered, or known to be missing.
func (c Channel) Accounted() uint64 {
	return c.Delivered + c.Refused + c.Expired + c.Conflated + c.Lost + c.Unknown
}

// Status reads /status.json.
func (r *Role) Status() (Status, error) {
	var s Status
	body, code, err := r.Get("/status.json")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("status %d", code)
	}
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		return Status{}, fmt.Errorf("%s: /status.json: %w", filepath.Base(r.Program), err)
	}
	return s, nil
}

// pollInterval is how often Await asks the roles.
const pollInterval = 50 * time.Millisecond

// Await waits until both roles are ready. It ends early when one of them does.
func (g *Gateway) Await(ctx context.Context) error {
	for {
		reason := errors.Join(g.RX.Ready(), g.TX.Ready())
		if reason == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pair: not ready in time: %w\n%s", reason, g.Logs())
		case <-g.TX.Done():
			return fmt.Errorf("pair: heliotx ended:\n%s", g.TX.Log())
		case <-g.RX.Done():
			return fmt.Errorf("pair: heliorx ended:\n%s", g.RX.Log())
		case <-time.After(pollInterval):
		}
	}
}

// shownLog is how much of each role's log Logs returns, in bytes.
const shownLog = 16 << 10

// Logs returns the newest lines of both roles.
func (g *Gateway) Logs() string {
	var out strings.Builder
	for _, r := range []*Role{&g.TX, &g.RX} {
		if r.Process != nil {
			log := r.Log()
			fmt.Fprintf(&out, "log of %s:\n%s", r.Name(), log[max(len(log)-shownLog, 0):])
		}
	}
	return out.String()
}

// Stop ends both roles side by side, as an operator would; one that still runs after
// the time is killed.
func (g *Gateway) Stop(within time.Duration) {
	var both sync.WaitGroup
	for _, r := range []*Role{&g.TX, &g.RX} {
		if r.Process != nil {
			both.Go(func() { r.Process.Stop(within) })
		}
	}
	both.Wait()
}
