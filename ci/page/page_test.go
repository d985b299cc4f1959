package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
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
	folder := cmp.Or(os.Getenv("HELIOGRAPH_PAGES"), t.ArtifactDir())
	options, err := json.Marshal(map[string]any{"browser": browser, "looks": looks, "away": goesAway(t),
		"folder": folder})
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
	if !t.Failed() {
		for _, l := range looks {
			if strings.HasPrefix(l.Name, "rx-") { // half a minute with the race detector
				compareScreenshots(t, folder, l.Name)
			}
		}
	}
}

// compareScreenshots looks at the screenshots of a page: each as wide as its window and not blank,
// the one in the dark darker.
func compareScreenshots(t *testing.T, folder, name string) {
	t.Helper()
	for _, width := range []int{360, 800, 1400} {
		var light [2]float64
		for i, scheme := range []string{"light", "dark"} {
			file := filepath.Join(folder, fmt.Sprintf("page-%s-%d-%s.png", name, width, scheme))
			p, err := readScreenshot(file)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if p.width != width || p.colours < leastColours || p.most > mostOfOne {
				t.Errorf("%s: %d wide, %d colours, %.3f of it in one; want %d, from %d and up to %.3f", file, p.width,
					p.colours, p.most, width, leastColours, mostOfOne)
			}
			light[i] = p.light
		}
		if light[1] >= light[0] {
			t.Errorf("%s at %d: brightness %.2f in the dark, %.2f in the light", name, width, light[1], light[0])
		}
	}
}

// A page has its background, shades of text, and the colours of good and bad states.
const (
	leastColours = 50
	mostOfOne    = 0.97
	every        = 7 // of the points of a screenshot is looked at
)

// screenshot is what a screenshot looks like.
type screenshot struct {
	width, colours int
	most           float64 // of it: has the most frequent colour
	light          float64 // from 0, black, to 1, white
}

func readScreenshot(file string) (p screenshot, err error) {
	f, err := os.Open(file)
	if err != nil {
		return p, err
	}
	defer f.Close()
	decoded, err := png.Decode(f)
	if err != nil {
		return p, err
	}
	b := decoded.Bounds()
	rgba := image.NewRGBA(b)
	draw.Draw(rgba, b, decoded, b.Min, draw.Src)
	counts := map[[3]byte]int{}
	looked, sum := 0, 0
	for i := 0; i < len(rgba.Pix); i += 4 * every {
		c := [3]byte(rgba.Pix[i : i+3])
		counts[c]++
		looked++
		sum += int(c[0]) + int(c[1]) + int(c[2])
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	all := float64(looked)
	return screenshot{b.Dx(), len(counts), float64(most) / all, float64(sum) / all / (3 * 255)}, nil
}

func TestABlankScreenshotIsFound(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 360, 900))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "blank.png")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want := screenshot{width: 360, colours: 1, most: 1}
	if got, err := readScreenshot(file); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
