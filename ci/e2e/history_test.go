package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

// reading is what node-opcua's client is to read of a history. Times are milliseconds
// since 1970.
type reading struct {
	Kind     string   `json:"kind"` // raw, attime, aggregate, events
	Node     string   `json:"node"`
	From     int64    `json:"from,omitempty"`
	To       int64    `json:"to,omitempty"`
	Limit    int      `json:"limit,omitempty"` // of a part
	Bounds   bool     `json:"bounds,omitempty"`
	Times    []int64  `json:"times,omitempty"`
	Function string   `json:"function,omitempty"`
	Interval int64    `json:"interval,omitempty"` // milliseconds
	Fields   []string `json:"fields,omitempty"`
}

// historyResult is what came of a reading.
type historyResult struct {
	Status string            `json:"status"`
	Parts  []int             `json:"parts"` // how much each answer brought
	Got    []json.RawMessage `json:"got"`
}

// historyValue is a value of a historyResult.
type historyValue struct {
	Value  *float64 `json:"value"`
	Status string   `json:"status"`
	Bits   int      `json:"bits"` // the lower half of the StatusCode
	At     int64    `json:"at"`
}

func (v historyValue) String() string {
	value := "null"
	if v.Value != nil {
		value = fmt.Sprint(*v.Value)
	}
	return fmt.Sprintf("%s %s %d", value, v.Status, v.At)
}

// values returns what came as text.
func (r historyResult) values(t *testing.T) (list []string) {
	t.Helper()
	for _, v := range r.decoded(t) {
		list = append(list, v.String())
	}
	return list
}

// decoded returns what came.
func (r historyResult) decoded(t *testing.T) (list []historyValue) {
	t.Helper()
	for _, raw := range r.Got {
		var v historyValue
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		list = append(list, v)
	}
	return list
}

// historian has node-opcua's client read from histories.
func historian(t *testing.T, url string, reads ...reading) []historyResult {
	t.Helper()
	script, err := filepath.Abs("../peers/historian.js")
	if err != nil {
		t.Fatal(err)
	}
	argument, _ := json.Marshal(map[string]any{"url": url, "reads": reads})
	var got struct {
		Error   string
		Results []historyResult
	}
	await.NoError(t, "node-opcua's client has read history", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), clientBound)
		defer cancel()
		out, err := exec.CommandContext(ctx, rig.Program(t, "node", "history against node-opcua"), script,
			string(argument)).Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if jerr := json.Unmarshal([]byte(lines[len(lines)-1]), &got); jerr != nil || got.Error != "" {
			return fmt.Errorf("%v %v: %.1000s", err, jerr, out)
		}
		return nil
	})
	if len(got.Results) != len(reads) {
		t.Fatalf("got %d results of %d reads", len(got.Results), len(reads))
	}
	return got.Results
}
