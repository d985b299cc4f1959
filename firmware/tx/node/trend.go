package node

import (
	"math"

	"heliograph/firmware/platform/trend"
)

// figures are those whose history is kept; sample returns their values.
func figures() []trend.Figure {
	return []trend.Figure{
		{Name: "frames", Unit: "1/s", Kind: trend.Rate},
		{Name: "dropped", Unit: "1/s", Kind: trend.Rate}, // records of all channels
		{Name: "temperature", Unit: "°C", Kind: trend.Mean},
	}
}

// sample is called every other second, so that the observer sees what lasts no longer.
func (n *Node) sample() []float64 {
	s := n.Snapshot()
	dropped, temperature := uint64(0), math.NaN()
	for _, c := range s.Channels {
		dropped += *c.Dropped
	}
	if t := s.Boards[0].Temperature; t != nil {
		temperature = *t
	}
	return []float64{float64(s.Link.Frames), float64(dropped), temperature}
}
