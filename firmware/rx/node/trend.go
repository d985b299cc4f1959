package node

import "heliograph/firmware/platform/trend"

// figures are those whose history is kept; sample returns their values.
func figures() []trend.Figure {
	return []trend.Figure{
		{Name: "frames", Unit: "1/s", Kind: trend.Rate},
		{Name: "repaired", Unit: "1/s", Kind: trend.Rate},
		{Name: "lost", Unit: "1/s", Kind: trend.Rate},
		{Name: "damaged", Unit: "1/s", Kind: trend.Rate},
		{Name: "dropped", Unit: "1/s", Kind: trend.Rate},
	}
}

// sample is called every other second, so that the observer sees what lasts no longer.
func (n *Node) sample() []float64 {
	l := n.Snapshot().Link
	return []float64{
		float64(l.Frames), float64(*l.Repaired), float64(*l.Lost), float64(*l.CRCErrors), float64(*l.Dropped),
	}
}
