package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

// transmitterChannels returns the channels that the transmitter has, each with
// its protocol, or false while not all of them are known.
func transmitterChannels(gateway sink.Snapshot, channels []pipeline.ChannelStatus) (map[string]string, bool) {
	for _, c := range channels {
		if c.Name == record.Gateway && !c.Complete {
			return nil, false
		}
	}
	protocols := map[string]string{}
	gateway.Range(func(key, payload []byte) bool {
		if name, ok := selfreport.Channel(string(key)); ok {
			var source struct{ Protocol string }
			_ = json.Unmarshal(payload, &source) // an older transmitter does not say
			protocols[name] = source.Protocol
		}
		return true
	})
	return protocols, true
}

// mismatches compares the channels that both configurations give, by name with
// their protocols, and returns a reason for each that does not match.
func mismatches(here, there map[string]string) (reasons task.Reasons) {
	known := strings.Join(slices.Sorted(maps.Keys(there)), ", ")
	for _, name := range slices.Sorted(maps.Keys(here)) {
		switch protocol, ok := there[name]; {
		case !ok:
			reasons = append(reasons, task.Reason{Part: "channel " + name, Cause: fmt.Sprintf("the transmitter has no channel of this name (it has: %s); use the same name in both configurations", known)})
		case protocol != "" && protocol != here[name]:
			reasons = append(reasons, task.Reason{Part: "channel " + name, Cause: fmt.Sprintf("is %s here and %s at the transmitter; use the same name for the same channel in both configurations", here[name], protocol)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, ok := here[name]; !ok {
			reasons = append(reasons, task.Reason{Part: "channel " + name, Cause: "arrives, but no sink here takes it; add it to this configuration, or remove it from the transmitter's"})
		}
	}
	return reasons
}
