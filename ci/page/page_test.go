package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/freeport"
	"heliograph/ci/rig"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

// bound ends a test that hangs; it takes half a minute.
const bound = 10 * time.Minute

// look is a page that the browser opens.
type look struct {
	Name  string   `json:"name"`
	URL   string   `json:"url"`
	Level string   `json:"level"`
	Says  []string `json:"says"`
	Stop  string   `json:"stop,omitempty"` // ends the server of the page, and Start starts it again
	Start string   `json:"start,omitempty"`
}

// server is the status server of a scene.
func server(role string, sc scene) *status.Server {
	snapshot := func(now time.Time) status.Snapshot {
		s := healthy(role, now)
		sc.change(&s, now)
		return s
	}
	var observer status.Observer
	for _, ago := range []time.Duration{2*time.Hour + 14*time.Minute, 12 * time.Second} { // since when it is so; rates
		now := time.Now().Add(-ago)
		before := snapshot(now)
		observer.Observe(now, &before, sc.reasons)
	}
	return &status.Server{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), History: history(role),
		Role: func() task.Reasons { return sc.reasons },
		Snapshot: func() status.Snapshot {
			now := time.Now()
			shown := snapshot(now)
			observer.Observe(now, &shown, sc.reasons)
			return shown
		}}
}

// run serves until the function that it returns is called, or the test ends.
func run(t *testing.T, s *status.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	await.NoError(t, "the status server listens", s.Ready)
	return stop
}

// goesAway is a page whose server the browser's script ends and starts again.
func goesAway(t *testing.T) look {
	t.Helper()
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	start := func() (stop func()) {
		s := server("rx", receiving()["healthy"])
		s.Listen = address
		return run(t, s)
	}
	stop := start()
	control := http.NewServeMux()
	control.HandleFunc("/stop", func(http.ResponseWriter, *http.Request) { stop() })
	control.HandleFunc("/start", func(http.ResponseWriter, *http.Request) { start() })
	c := httptest.NewServer(control)
	t.Cleanup(c.Close)
	return look{Name: "rx-away", URL: "http://" + address + "/", Stop: c.URL + "/stop", Start: c.URL + "/start"}
}

// TestThePageInABrowser opens the page of each scene in headless Chromium.
func TestThePageInABrowser(t *testing.T) {
	node := rig.Program(t, "node", "the status page in a browser")
	browser := rig.Program(t, "chromium", "the status page in a browser")
	var looks []look
	for role, scenes := range map[string]map[string]scene{"rx": receiving(), "tx": sending()} {
		for _, name := range slices.Sorted(maps.Keys(scenes)) {
			s := server(role, scenes[name])
			run(t, s)
			looks = append(looks, look{Name: role + "-" + name, URL: "http://" + s.Address() + "/",
				Level: string(scenes[name].level), Says: scenes[name].says})
		}
	}
	options, err := json.Marshal(map[string]any{"browser": browser, "looks": looks, "away": goesAway(t),
		"folder": os.Getenv("HELIOGRAPH_PAGES")})
	if err != nil {
		t.Fatal(err)
	}
	var faults, log bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	c := exec.CommandContext(ctx, node, "look.js", string(options))
	c.Stdout, c.Stderr = &faults, &log
	err = c.Run()
	for fault := range strings.Lines(faults.String()) {
		t.Error(strings.TrimSpace(fault))
	}
	if err != nil {
		t.Errorf("look.js: %v", err)
	}
	t.Log(log.String())
}
