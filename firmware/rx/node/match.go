package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/task"
)

// mismatches returns the channels that the two configurations do not agree on, while
// those of the transmitter are known.
func (n *Node) mismatches() task.Reasons {
	t := n.transmitter()
	if !t.complete {
		return nil
	}
	here := map[string]string{}
	for _, c := range n.channels {
		here[c.name] = c.protocol
	}
	return mismatches(here, t.protocols())
}

// mismatches compares the channels of both configurations, by name with their
// protocols, and returns a reason for each that does not match.
func mismatches(here, there map[string]string) (reasons task.Reasons) {
	add := func(name, format string, args ...any) {
		reasons = append(reasons, task.Reason{Part: "channel " + name, Cause: fmt.Sprintf(format, args...),
			Why: cause.Cause{Code: cause.ChannelName}})
	}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		switch protocol, ok := there[name]; {
		case !ok:
			add(name, "%s", notThere(there))
		case protocol != "" && protocol != here[name]:
			add(name, "is %s here and %s at the transmitter; use the same name for the same channel in both "+
				"configurations",
				here[name], protocol)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, ok := here[name]; !ok {
			add(name, "arrives, but no sink here takes it; add it to this configuration, or remove it from the "+
				"transmitter's")
		}
	}
	return reasons
}

const (
	// noChannel begins the reason of a channel that only this configuration has.
	noChannel = "the transmitter has no channel of this name"
	mostNames = 16 // that a reason lists
)

// notThere is why nothing comes for a channel that the transmitter does not have.
func notThere(there map[string]string) string {
	names := slices.Sorted(maps.Keys(there))
	if more := len(names) - mostNames; more > 0 {
		names = append(names[:mostNames], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s (it has: %s); use the same name in both configurations", noChannel,
		strings.Join(names, ", "))
}
