package node

import "heliograph/firmware/platform/trend"

// figures are those whose history is kept; sample returns their values.
func figures() []trend.Figure {
	return []trend.Figure{{Name: "frames", Unit: "1/s", Kind: trend.Rate}}
}

// sample is called every other second, so that the observer sees what lasts no longer.
func (n *Node) sample() []float64 { return []float64{float64(n.Snapshot().Link.Frames)} }
