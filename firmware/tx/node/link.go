package node

import (
	"fmt"
	"path/filepath"
	"time"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/pagelog"
	"heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/replay"
)

// Our own choices for the media.
const (
	// The carousel's guaranteed share of the line: a slow line needs more for a
	// late receiver to be complete in useful time.
	datagramShare = 0.10
	uartShare     = 0.25

	// datagramAhead is how far ahead of its clock the pacer fills a network device.
	datagramAhead = 500 * time.Microsecond
)

const (
	longWord    = 259 // bytes of a long codeword with its marker
	bitsPerByte = 10  // on a UART, 8N1
)

// Medium is a driver's transmitter, opened in the one direction.
type Medium struct {
	Transmitter pipeline.Transmitter
	MaxFrame    int // bytes of a frame, where the medium carries datagrams
	Overhead    int // bytes that the medium adds to a frame
	// Received counts what this end of the link receives: nothing, if it is one-way. Nil:
	// the transmitter does, where anything does.
	Received any
}

// openLink opens the medium and puts a pipeline on it.
func (n *Node) openLink() (*pipeline.Link, error) {
	m, err := n.config.Build.Medium(n.config.TX.Link, n.config.Log)
	if err != nil {
		return nil, err
	}
	n.medium = m.Transmitter
	c, err := linkConfig(n.config.TX, m)
	if err != nil {
		return nil, err
	}
	n.received = newReceivedCounter(reading(m, n.config.TX.Link.Medium, n.machine.Facts), c.Rate)
	n.line = selfreport.Link{Overhead: c.Overhead, BytesPerSecond: c.Rate}
	c.Session, c.Totals, c.Log = n.state.session, n.state.totals, n.config.Log
	if err := n.openReplay(); err != nil {
		return nil, err
	}
	c.Replay = n.replay
	return pipeline.New(c, m.Transmitter), nil
}

// openReplay makes what has left be sent again. Without memory for it the window stays
// empty, and states so: a receiver then knows that what is missing is lost.
func (n *Node) openReplay() error {
	limits := n.config.TX.Replay
	c := replay.Config{Epoch: n.state.session.Epoch, Limit: int(limits.Memory), Start: time.Now()}
	if limits.Disk > 0 {
		n.pages = pagelog.Open(filepath.Join(n.config.TX.State, "replay"), limits.Disk, n.config.Log)
		if n.state.epoch.Lost { // epochs begin at 1 again: pages may have one that comes again
			n.pages.Forget()
		}
		c.Older = n.pages
	}
	var err error
	if n.replay, err = replay.New(c); err != nil {
		return err
	}
	if n.pages != nil {
		n.pages.Save(n.replay)
		n.add(n.pages)
	}
	return nil
}

// linkConfig returns how a pipeline uses a medium.
func linkConfig(cfg config.TX, m Medium) (pipeline.Config, error) {
	c := pipeline.Config{
		State: int(cfg.Memory.State), ChannelState: int(cfg.Memory.ChannelState), Overhead: cfg.Link.Overhead,
	}
	switch cfg.Link.Medium {
	case config.UDP, config.Ethernet:
		c.Profile = wire.DatagramProfile(m.MaxFrame, m.Overhead)
		c.Rate = cfg.Link.Rate / 8
		c.Ahead = datagramAhead
		c.CarouselShare = datagramShare
	case config.UART:
		c.Profile = wire.UARTProfile(cfg.Link.Baud)
		c.Rate = float64(cfg.Link.Baud) / bitsPerByte
		c.Ahead = time.Duration(float64(time.Second) * longWord / c.Rate)
		c.CarouselShare = uartShare
		c.Encode = codeword.Encode
	default:
		return c, fmt.Errorf("heliotx: medium %q is not known", cfg.Link.Medium)
	}
	return c, nil
}
