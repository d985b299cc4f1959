package main

import (
	"strings"
	"testing"

	"heliograph/ci/await"
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
	await.True(t, "the server listens", func() bool {
		code, out, _ = call(t, "", "crawl", a.Endpoint, a.Endpoint)
		return code == 0
	})
	if !strings.HasPrefix(out, "0 differences among ") {
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
