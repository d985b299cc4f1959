package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

// transmitterChannels returns the names of the channels that the transmitter
// has, or false while not all of them are known.
func transmitterChannels(gateway sink.Picture, channels []pipeline.ChannelStatus) (map[string]bool, bool) {
	for _, c := range channels {
		if c.Name == record.Gateway && !c.Complete {
			return nil, false
		}
	}
	names := map[string]bool{}
	gateway.Range(func(key, _ []byte) bool {
		if name, ok := selfreport.Channel(string(key)); ok {
			names[name] = true
		}
		return true
	})
	return names, true
}

// mismatches compares the names of channels that both configurations give, and
// returns a sentence for each channel that one end alone has.
func mismatches(here []string, there map[string]bool) (reasons []string) {
	unmatched := maps.Clone(there)
	var missing []string
	for _, name := range here {
		delete(unmatched, name)
		if !there[name] {
			missing = append(missing, name)
		}
	}
	known := strings.Join(slices.Sorted(maps.Keys(there)), ", ")
	for _, name := range missing {
		reasons = append(reasons, fmt.Sprintf("channel %s: the transmitter has no channel of this name (it has: %s); use the same name in both configurations", name, known))
	}
	for _, name := range slices.Sorted(maps.Keys(unmatched)) {
		reasons = append(reasons, fmt.Sprintf("channel %s: arrives, but no sink here takes it; add it to this configuration, or remove it from the transmitter's", name))
	}
	return reasons
}
