package main

import (
	"fmt"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/client"
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
	var progress strings.Builder
	doing := func(format string, a ...any) { fmt.Fprintf(&progress, format+"\n", a...) }
	source := client.Config{Endpoint: a.Endpoint, Policy: "None", ApplicationName: "test", Timeout: crawlTimeout}
	mirror := source
	mirror.Endpoint = b.Endpoint
	_, nodes, err := compare(t.Context(), source, mirror, doing)
	last := fmt.Sprintf("3/3 the source again: %d of %[1]d known nodes\n", nodes)
	if err != nil || !strings.Contains(progress.String(), last) ||
		!strings.Contains(progress.String(), "2/3 the mirror: connecting") {
		t.Errorf("progress: %v, %q", err, progress.String())
	}
	if code, _, stderr := call(t, "", "crawl", "opc.tcp://127.0.0.1:1", b.Endpoint); code != 1 ||
		strings.Count(stderr, "\n") != 1 {
		t.Errorf("a server that is not there: %d %q", code, stderr)
	}
}
