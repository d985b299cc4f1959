// Package linksim joins both ends of the link in memory, on a simulated clock,
// so that tests see the whole wire without sockets, sleeps or luck.
//
// It stands in ci because it is the one place, besides the programs themselves,
// that imports both sides of the wall.
package linksim

import (
	"fmt"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/replay"
	"heliograph/firmware/tx/send"
)

// Sim is a pair of boards and the link between them.
type Sim struct {
	Now     time.Time
	Profile wire.Profile
	Rate    float64 // bytes per second
	// Overhead is the floor of parity ÷ sources, Share the carousel's.
	Overhead, Share float64
	// Memory is what each transmitter keeps to send it again, in bytes; 0: nothing.
	Memory int
	// Silent has the transmitter send nothing again.
	Silent bool
	// Step is how much time passes at once; 0: 250 µs.
	Step time.Duration
	// Ahead is how long the line may be busy with what it was given; 0: a step.
	Ahead time.Duration
	// Tap is called with every frame that enters the link; nil: nothing is.
	Tap func(frame []byte)
	// Impair is what the link does to a frame; nil: nothing.
	Impair func(frame []byte, deliver func([]byte))
	TX     *TX
	RX     *RX
	Frames int // that entered the link
}

// TX is the plant's side.
type TX struct {
	Mux    *send.Mux
	Sender *send.Sender
	Replay *replay.Window // nil: nothing is kept
	pacer  *send.Pacer
}

// Key is the pair key of every simulation.
var Key = wire.PairKey{1, 2, 3}

// New returns a pair whose receiver is up and whose transmitter is not.
func New(profile wire.Profile, rate float64) *Sim {
	return &Sim{Now: time.Unix(1_700_000_000, 0), Profile: profile, Rate: rate, Overhead: 0.25, Share: 0.1}
}

// salt returns the salt of an epoch's session.
func salt(epoch uint64) [16]byte { return [16]byte{byte(epoch), 7} }

// StartTX restarts the transmitter in the given epoch.
func (s *Sim) StartTX(epoch uint64) error {
	session, err := wire.NewSession(Key, epoch, salt(epoch))
	if err != nil {
		return fmt.Errorf("linksim: %v", err)
	}
	var window *replay.Window
	if s.Memory > 0 {
		window, err = replay.New(replay.Config{Epoch: epoch, Limit: s.Memory, Start: s.Now})
		if err != nil {
			return fmt.Errorf("linksim: %v", err)
		}
	}
	mux := send.NewMux(send.MuxConfig{
		Room: s.Profile.Payload(), CarouselShare: s.Share, Start: s.Now, Replay: window,
	})
	s.TX = &TX{Mux: mux, Replay: window, Sender: send.NewSender(mux, s.Profile, s.Rate, s.Overhead, session),
		pacer: send.NewPacer(s.Rate, 0)}
	return nil
}

// Run lets simulated time pass in steps, calling each before every step.
func (s *Sim) Run(d time.Duration, each func()) error {
	step := s.Step
	if step == 0 {
		step = 250 * time.Microsecond
	}
	for end := s.Now.Add(d); s.Now.Before(end); s.Now = s.Now.Add(step) {
		if each != nil {
			each()
		}
		if err := s.step(step); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sim) step(step time.Duration) error {
	arrived := false
	if s.TX != nil {
		if s.Ahead > 0 {
			step = s.Ahead
		}
		var err error
		if arrived, err = s.transmit(step); err != nil {
			return err
		}
	}
	if s.RX != nil {
		s.RX.now = s.Now
		for _, d := range s.RX.decoders {
			d.Tick(s.Now, !arrived)
		}
		return s.RX.heal()
	}
	return nil
}

// transmit sends what there is, until the line is busy for as long as it may be. It
// reports whether anything arrived.
func (s *Sim) transmit(ahead time.Duration) (arrived bool, err error) {
	for {
		budget := s.TX.pacer.Budget(s.Now, ahead)
		frames, cost, err := s.TX.Sender.Frames(s.Now, budget, s.TX.pacer.Idle(s.Now) && !s.Silent)
		if err != nil {
			return arrived, fmt.Errorf("linksim: %v", err)
		}
		if len(frames) == 0 {
			return arrived, nil
		}
		s.TX.pacer.Spend(s.Now, cost)
		for _, f := range frames {
			s.Frames++
			s.pass(f, func(b []byte) { arrived = true; s.RX.Frame(s.Now, b) })
		}
		s.TX.Sender.Sent()
	}
}

func (s *Sim) pass(frame []byte, deliver func([]byte)) {
	if s.Tap != nil {
		s.Tap(frame)
	}
	switch {
	case s.RX == nil:
	case s.Impair == nil:
		deliver(frame)
	default:
		s.Impair(frame, deliver)
	}
}
