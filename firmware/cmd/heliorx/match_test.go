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
	const another = "channel log: is syslog here and mqtt at the transmitter; use the same name for the same channel in both configurations"
	for _, c := range []struct {
		name        string
		here, there map[string]string
		want        []string
	}{
		{"the same", map[string]string{"cell-1": "mqtt", "log": "syslog"}, map[string]string{"cell-1": "mqtt", "log": "syslog"}, nil},
		{"misspelt", map[string]string{"cell-1": "mqtt", "logs": "syslog"}, map[string]string{"cell-1": "mqtt", "log": "syslog"}, []string{noSource, noSink}},
		{"no sink", map[string]string{"cell-1": "mqtt"}, map[string]string{"cell-1": "mqtt", "log": "syslog"}, []string{noSink}},
		{"another protocol", map[string]string{"log": "syslog"}, map[string]string{"log": "mqtt"}, []string{another}},
		{"an older transmitter", map[string]string{"log": "syslog"}, map[string]string{"log": ""}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mismatches(c.here, c.there).Lines(); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
