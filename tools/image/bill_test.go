package image

import (
	"os"
	"testing"
)

func TestTheBillNamesUPlot(t *testing.T) {
	script, err := os.ReadFile("../../firmware/platform/status/assets/uplot/uPlot.iife.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if got := PlotVersion(append([]byte("\x7fELF…"), script...)); got != "1.6.32" {
		t.Errorf("got %q, want the version of the status page's uPlot, 1.6.32", got)
	}
	if got := PlotVersion([]byte("\x7fELF…")); got != "" {
		t.Errorf("a program without it: got %q", got)
	}
}
