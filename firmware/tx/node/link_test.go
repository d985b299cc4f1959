package node

import (
	"testing"
	"time"

	"heliograph/firmware/config"
)

func TestLinkConfigs(t *testing.T) {
	tx := config.TX{
		Link:   config.Link{Rate: 80e6, Baud: 921600, Overhead: 0.3},
		Memory: config.Memory{State: 80, ChannelState: 40},
	}
	for name, c := range map[config.Medium]struct {
		rate, share float64
		frame       int
		ahead       time.Duration
		encodes     bool
	}{
		config.UDP:      {10e6, 0.10, 1472, 500 * time.Microsecond, false},
		config.Ethernet: {10e6, 0.10, 1472, 500 * time.Microsecond, false},
		config.UART:     {92160, 0.25, 239, 2810329 * time.Nanosecond, true},
	} {
		tx.Link.Medium = name
		got, err := linkConfig(tx, Medium{MaxFrame: 1472, Overhead: 66})
		if err != nil || got.Rate != c.rate || got.CarouselShare != c.share || got.Profile.MaxFrame() != c.frame ||
			got.Ahead != c.ahead || (got.Encode != nil) != c.encodes ||
			got.Overhead != 0.3 || got.State != 80 || got.ChannelState != 40 {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, c)
		}
	}
	tx.Link.Medium = "smoke"
	if _, err := linkConfig(tx, Medium{}); err == nil {
		t.Error("an unknown medium: got no error")
	}
}
