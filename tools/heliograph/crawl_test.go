package main

import (
	"strings"
	"testing"
	"time"

	"heliograph/tools/plant"
)

func TestCrawlListsWhatDiffers(t *testing.T) {
	a, err := plant.NewServer(3)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := plant.NewServer(4)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var code int
	var out string
	// until both listen
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if code, out, _ = call(t, "", "crawl", a.Endpoint, a.Endpoint); code == 0 {
			break
		}
	}
	if code != 0 || !strings.HasPrefix(out, "0 differences among ") {
		t.Fatalf("a server and itself: %d %q", code, out)
	}
	code, out, stderr := call(t, "", "crawl", a.Endpoint, b.Endpoint)
	if code != 1 || stderr != "" || !strings.Contains(out, "Line.Tag3: is at the mirror alone") ||
		!strings.Contains(out, "2 differences among ") {
		t.Errorf("a server with another tag: %d %q %q", code, out, stderr)
	}
	if code, _, stderr := call(t, "", "crawl", "opc.tcp://127.0.0.1:1", b.Endpoint); code != 1 ||
		strings.Count(stderr, "\n") != 1 {
		t.Errorf("a server that is not there: %d %q", code, stderr)
	}
}
