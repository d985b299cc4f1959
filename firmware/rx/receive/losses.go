package receive

import "slices"

// Losses are the frames that are missing by their sequence numbers, since the start.
// What an authentic frame before and one after it prove missing counts, whether noise,
// the medium or a full socket took it; the kernel's share is counted by the driver.
type Losses struct {
	Expected uint64                       // frames that were to arrive
	Missing  uint64                       // of those, the ones that did not
	Late     uint64                       // of Missing, those that arrived more than reorder frames later
	Bursts   [len(burstBounds) + 1]uint64 // runs of missing frames by their length, up to each bound and beyond
}

// burstBounds are the longest runs of each count of Losses.Bursts.
var burstBounds = [...]uint64{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096}

// BurstBounds returns the longest runs of each count of Losses.Bursts but the last.
func BurstBounds() []uint64 { return slices.Clone(burstBounds[:]) }

// reorder is how many frames later a frame may arrive and is not missing: the bits of a
// word. A cable keeps the order, and UDP over a few switches nearly so.
const reorder = 64

// sequence finds the losses of a session. It allocates nothing.
type sequence struct {
	highest uint64
	arrived uint64 // bit n: frame highest − n
	known   int    // of the bits, those of frames that were to arrive
	run     uint64 // of missing frames, so far
	losses  Losses
}

// begin begins a session whose first frame here is seq.
func (s *sequence) begin(seq uint64) {
	for ; s.known > 0; s.known-- {
		s.settle(s.arrived>>(s.known-1)&1 == 1)
	}
	s.endRun()
	s.highest, s.arrived, s.known = seq, 1, 1
}

// add adds an authentic frame of the session that is not a duplicate.
func (s *sequence) add(seq uint64) {
	if seq > s.highest {
		s.advance(seq - s.highest)
		s.highest = seq
		s.arrived |= 1
		return
	}
	switch back := s.highest - seq; {
	case back < uint64(s.known):
		s.arrived |= 1 << back
	case s.known == reorder:
		s.losses.Late++
	}
}

// advance makes room for n frames more, of which none has arrived.
func (s *sequence) advance(n uint64) {
	for range min(n, reorder) {
		if s.known < reorder {
			s.known++
		} else {
			s.settle(s.arrived>>(reorder-1) == 1)
		}
		s.arrived <<= 1
	}
	if n > reorder {
		s.losses.Expected += n - reorder
		s.losses.Missing += n - reorder
		s.run += n - reorder
	}
}

// settle counts the oldest frame.
func (s *sequence) settle(arrived bool) {
	s.losses.Expected++
	if arrived {
		s.endRun()
		return
	}
	s.losses.Missing++
	s.run++
}

func (s *sequence) endRun() {
	if s.run == 0 {
		return
	}
	bin, _ := slices.BinarySearch(burstBounds[:], s.run)
	s.losses.Bursts[bin]++
	s.run = 0
}

// Losses returns which frames are missing, but for the newest reorder ones.
func (o *Opener) Losses() Losses { return o.sequence.losses }

// Repairs is how much parity the lanes of a class needed, since the start.
type Repairs struct {
	// Needed counts lanes by the parity frames that replaced missing sources, up to each
	// bound of burstBounds and beyond; none needs more than wire.MaxParity.
	Needed [len(burstBounds) + 1]uint64
	Beyond uint64 // lanes with more missing than parity arrived
}

// need counts a lane that was repaired.
func (r *Repairs) need(parity int) {
	bin, _ := slices.BinarySearch(burstBounds[:], uint64(parity))
	r.Needed[bin]++
}

// Repairs returns how much parity was needed.
func (d *Decoder) Repairs() Repairs { return d.repairs }
