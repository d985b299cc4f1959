package main

import (
	"slices"
	"testing"
)

func TestMismatchesNameChannelsThatOneEndAloneHas(t *testing.T) {
	const (
		noSource = "channel logs: the transmitter has no channel of this name (it has: cell-1, log); use the same name in both configurations"
		noSink   = "channel log: arrives, but no sink here takes it; add it to this configuration, or remove it from the transmitter's"
	)
	for _, c := range []struct {
		name  string
		here  []string
		there map[string]bool
		want  []string
	}{
		{"the same", []string{"cell-1", "log"}, map[string]bool{"cell-1": true, "log": true}, nil},
		{"misspelt", []string{"cell-1", "logs"}, map[string]bool{"cell-1": true, "log": true}, []string{noSource, noSink}},
		{"no sink", []string{"cell-1"}, map[string]bool{"cell-1": true, "log": true}, []string{noSink}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mismatches(c.here, c.there); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
