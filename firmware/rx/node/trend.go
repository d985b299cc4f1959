package node

import (
	"math"

	"heliograph/firmware/platform/trend"
)

// figures are those whose history is kept; sample returns their values.
func figures() []trend.Figure {
	return []trend.Figure{
		{Name: "frames", Unit: "1/s", Kind: trend.Rate},
		{Name: "repaired", Unit: "1/s", Kind: trend.Rate},
		{Name: "lost", Unit: "1/s", Kind: trend.Rate},
		{Name: "damaged", Unit: "1/s", Kind: trend.Rate},
		{Name: "dropped", Unit: "1/s", Kind: trend.Rate},
		{Name: "latency_p50", Unit: "s", Kind: trend.Mean},
		{Name: "latency_p99", Unit: "s", Kind: trend.Most},
		{Name: "temperature", Unit: "°C", Kind: trend.Mean},
	}
}

// sample is called every other second, so that the observer sees what lasts no longer.
func (n *Node) sample() []float64 {
	s := n.Snapshot()
	l := s.Link
	return []float64{
		float64(l.Frames), float64(*l.Repaired), float64(*l.Lost), float64(*l.CRCErrors), float64(*l.Dropped),
		known(l.LatencyP50Seconds), known(l.LatencyP99Seconds), known(s.Boards[len(s.Boards)-1].Temperature),
	}
}

// known is a value, NaN for one that is not known.
func known(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
