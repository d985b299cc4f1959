package node

import (
	"fmt"
	"slices"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/pipeline"
)

// notComplete is why a channel that is received is not ready.
const notComplete = "the initial snapshot is not complete yet"

// Ready returns why the node does not do all its work: the reasons of its tasks, of
// its state and of its channels.
func (n *Node) Ready() task.Reasons {
	reasons := append(n.runner.Ready(), n.state.memory.Storage()...)
	if err := n.state.memory.Ready(); err != nil && n.link.Ready() != nil {
		// Frames arrive, and are refused: the link is not silent.
		reasons = slices.DeleteFunc(reasons, func(r task.Reason) bool { return r.Why.Code == cause.Silent })
		reasons = append(reasons, task.NewReason("epoch_regressed", cause.New(cause.EpochRegressed, err)))
	}
	unmatched := n.mismatches()
	for _, c := range n.link.Status().Channels {
		for _, r := range channelReasons(c) {
			same := func(u task.Reason) bool { return u.Part == r.Part }
			if r.Why.Code == cause.Incomplete && slices.ContainsFunc(unmatched, same) {
				continue // it is not on its way
			}
			reasons = append(reasons, r)
		}
	}
	return append(reasons, unmatched...)
}

func channelReasons(c pipeline.ChannelStatus) (reasons task.Reasons) {
	part := "channel " + c.Name
	if c.Name != record.Gateway && !c.Complete {
		reasons = append(reasons, task.Reason{Part: part, Cause: notComplete, Why: cause.Cause{Code: cause.Incomplete}})
	}
	if c.Full {
		words := fmt.Sprintf("%d keys are without their values: more state than [memory] of this file lets it keep",
			c.Over)
		reasons = append(reasons, task.Reason{Part: part, Cause: words, Why: cause.Cause{Code: cause.MemoryFull}})
	}
	return reasons
}
