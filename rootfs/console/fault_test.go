package console

import (
	"fmt"
	"strings"
	"testing"

	"heliograph/firmware/platform/health"
)

func TestScreenShowsWhatIsWrongWithTheConfiguration(t *testing.T) {
	s := Status{Role: "tx", Board: "rpi4b", State: health.Invalid, Faults: []string{
		"heliograph.toml:3: unknown key \"media\" in link; did you mean \"medium\"? and more words than a line has",
		"heliograph.toml:12: broker \"x\x1b[2J\" is not an address", "heliograph.toml:13: " + strings.Repeat("q", 200),
	}}
	s.Reason = s.Faults[0] + " (and 2 more)"
	got := Screen(s, Size{Columns: 80, Lines: 24})
	for _, want := range []string{
		"FAULT heliograph.toml:3: unknown key \"media\" in link; did you mean \"medium\"?\n" +
			"      and more words than a line has\n",
		"FAULT heliograph.toml:12: broker \"x?[2J\" is not an address\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "q"); n != 200 {
		t.Errorf("got %d of 200 letters of a long word", n)
	}
	for _, line := range strings.Split(got, "\n") {
		if len(line) > 79 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}

func TestManyFaultsLeaveTheRestOfTheScreen(t *testing.T) {
	s := Status{Role: "rx", State: health.Invalid}
	for i := range 100 {
		s.Faults = append(s.Faults, fmt.Sprintf("heliograph.toml:%d: unknown key", i+1))
	}
	got := Screen(s, Size{Columns: 80, Lines: 24})
	for _, want := range []string{"FAULT heliograph.toml:8: ", "FAULT and 92 more: the log has all", "NET "} {
		if !strings.Contains(got, want) || strings.Contains(got, "toml:9:") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	small := Screen(s, Size{Columns: 40, Lines: 9})
	if n := strings.Count(small, "\n"); n > 9 || !strings.Contains(small, "FAULT heliograph.toml:1: ") {
		t.Errorf("got %d lines, want 9 at most, with a fault:\n%s", n, small)
	}
}
