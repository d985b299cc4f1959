package ethernet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Port is an interface and how it is set.
type Port struct {
	Interface string // as package netdev reads it: a name, mac: or path:

	// Speed in Mbit/s is fixed, full duplex, and not negotiated; 0 leaves the interface as
	// it is found. A 100BASE-FX converter negotiates nothing (IEEE 802.3, clause 26), and a
	// port that goes on asking may settle on half duplex (28.2.3.1, parallel detection).
	Speed int
}

// card is what ethtool(8) reads and sets of an interface.
type card interface {
	link() (linkSettings, error)
	setLink(linkSettings) error
	eee() (eeeParameters, error)
	setEEE(eeeParameters) error
}

// Values of linux/ethtool.h.
const (
	duplexFull    = 1
	duplexUnknown = 0xff
	speedUnknown  = 1<<32 - 1
	portTwisted   = 0 // PORT_TP
)

// negotiated is the slowest speed in Mbit/s that twisted pair always negotiates, for its
// two ends must agree on a clock (IEEE 802.3, 40.5.1).
const negotiated = 1000

// modes are the bits of the link modes at full duplex by their speed in Mbit/s
// (enum ethtool_link_mode_bit_indices), where a link may be fixed.
func modes() map[int][]int {
	return map[int][]int{
		10:     {1, 92, 99},
		100:    {3, 67, 91},
		1000:   {5, 17, 41, 68},
		2500:   {15, 47},
		5000:   {48},
		10_000: {12, 18, 19, 20, 42, 43, 44, 45, 46},
	}
}

// fixedSpeed fixes an interface's speed in two steps, since some drivers take it only
// while the interface is down and others only while it is up.
type fixedSpeed struct {
	mbits int // 0: nothing is fixed
	card  card
	read  linkSettings // what holds in the end
}

// fix sets the speed of an interface that is down. A driver that cannot yet is asked
// again by confirm.
func (s *fixedSpeed) fix() error {
	if s.mbits == 0 {
		return nil
	}
	got, err := s.card.link()
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("its driver has no speed to set: remove speed from [link]: %w", err)
	} else if err != nil {
		return nil
	}
	if can := got.speeds(); len(can) > 0 && !slices.Contains(can, s.mbits) {
		return fmt.Errorf("%d Mbit/s full duplex is not among what it can do: %s", s.mbits, words(can))
	}
	if got.port == portTwisted && s.mbits >= negotiated {
		return fmt.Errorf("%d Mbit/s on twisted pair cannot be fixed, it is always negotiated (IEEE 802.3, 40.5.1): "+
			"remove speed from [link]", s.mbits)
	}
	if err := s.card.setLink(got.fixed(s.mbits)); errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		return s.refused(err)
	}
	return nil
}

// confirm reads the speed of an interface that is up, and sets it once more if need be.
func (s *fixedSpeed) confirm() (err error) {
	if s.mbits == 0 {
		return nil
	}
	if s.read, err = s.card.link(); err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	if s.read.isFixed(s.mbits) {
		return nil
	}
	if err := s.card.setLink(s.read.fixed(s.mbits)); err != nil {
		return s.refused(err)
	}
	if s.read, err = s.card.link(); err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	if !s.read.isFixed(s.mbits) {
		return fmt.Errorf("the driver took %d Mbit/s full duplex, but reads back %s", s.mbits, s.read)
	}
	return nil
}

func (s *fixedSpeed) refused(err error) error {
	return fmt.Errorf("its driver refuses %d Mbit/s full duplex without negotiation: %w", s.mbits, err)
}

// result says what holds, for the log.
func (s *fixedSpeed) result() string {
	if s.mbits == 0 {
		return "as found"
	}
	return s.read.String()
}

// fixed returns the settings with a speed that is not negotiated.
func (l linkSettings) fixed(mbits int) linkSettings {
	l.autonegotiate, l.speed, l.duplex = 0, uint32(mbits), duplexFull
	return l
}

// isFixed says whether the speed holds. A driver may know no speed while there is no
// carrier, as on a fibre without light.
func (l linkSettings) isFixed(mbits int) bool {
	return l.autonegotiate == 0 && (l.speed == uint32(mbits) || l.speed == speedUnknown) &&
		(l.duplex == duplexFull || l.duplex == duplexUnknown)
}

// String returns the settings in words.
func (l linkSettings) String() string {
	speed, duplex, how := strconv.FormatUint(uint64(l.speed), 10)+" Mbit/s", "half duplex", "fixed"
	if l.speed == speedUnknown {
		speed = "unknown speed (no carrier)"
	}
	switch l.duplex {
	case duplexFull:
		duplex = "full duplex"
	case duplexUnknown:
		duplex = "unknown duplex"
	}
	if l.autonegotiate != 0 {
		how = "negotiated"
	}
	return speed + ", " + duplex + ", " + how
}

// speeds returns those at which the interface can run, none if its driver does not say.
func (l linkSettings) speeds() (mbits []int) {
	supported := l.masks[:max(l.words, 0)]
	for speed, bits := range modes() {
		if slices.ContainsFunc(bits, func(bit int) bool {
			return bit/32 < len(supported) && supported[bit/32]&(1<<(bit%32)) != 0
		}) {
			mbits = append(mbits, speed)
		}
	}
	slices.Sort(mbits)
	return mbits
}

func words(speeds []int) string {
	var out []string
	for _, s := range speeds {
		out = append(out, strconv.Itoa(s))
	}
	return strings.Join(out, ", ") + " Mbit/s"
}

// eeeOff turns Energy-Efficient Ethernet off (IEEE 802.3, clause 78): it would wake the
// line before each burst, and its signals run between the two ends. A driver without it
// needs nothing.
func eeeOff(c card) error {
	got, err := c.eee()
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	} else if err != nil || got.enabled == 0 {
		return err
	}
	got.enabled, got.transmitIdle = 0, 0
	if err := c.setEEE(got); err != nil {
		return err
	}
	if got, err = c.eee(); err == nil && got.enabled != 0 {
		err = errors.New("the driver took it, but it reads back as on")
	}
	return err
}
