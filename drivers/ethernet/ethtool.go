package ethernet

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel reads and sets an interface's card by ioctl SIOCETHTOOL (linux/ethtool.h).
type kernel struct {
	fd   int // any socket in the interface's network namespace
	name string
}

// ethtoolRequest is struct ifreq with a pointer in it.
type ethtoolRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// ask passes a command, with which every structure of ethtool begins, and its answer.
func (k kernel) ask(command unsafe.Pointer) error {
	request := ethtoolRequest{data: command}
	copy(request.name[:unix.IFNAMSIZ-1], k.name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(k.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

// maxWords is the most that the kernel's count, of 8 bits, can say.
const maxWords = 127

// linkSettings is struct ethtool_link_settings with its masks: the modes that are
// supported, advertised, and advertised by the partner, words of each.
type linkSettings struct {
	command          uint32
	speed            uint32 // Mbit/s
	duplex           uint8
	port             uint8
	phy              uint8
	autonegotiate    uint8
	mdio             uint8
	mdix             uint8
	mdixControl      uint8
	words            int8
	transceiver      uint8
	masterSlave      uint8
	masterSlaveState uint8
	rateMatching     uint8
	_                [7]uint32
	masks            [3 * maxWords]uint32
}

// link implements card. The kernel first says how many words its masks have.
func (k kernel) link() (linkSettings, error) {
	ask := linkSettings{command: unix.ETHTOOL_GLINKSETTINGS}
	if err := k.ask(unsafe.Pointer(&ask)); err != nil {
		return linkSettings{}, err
	}
	if ask.words >= 0 {
		return linkSettings{}, fmt.Errorf("the kernel's link modes have %d words", ask.words)
	}
	got := linkSettings{command: unix.ETHTOOL_GLINKSETTINGS, words: -ask.words}
	if err := k.ask(unsafe.Pointer(&got)); err != nil {
		return linkSettings{}, err
	}
	if got.words != -ask.words {
		return linkSettings{}, errors.New("the kernel's link modes changed their size")
	}
	return got, nil
}

// setLink implements card.
func (k kernel) setLink(s linkSettings) error {
	s.command = unix.ETHTOOL_SLINKSETTINGS
	s.masterSlave, s.masterSlaveState, s.rateMatching = 0, 0, 0 // read only here
	return k.ask(unsafe.Pointer(&s))
}

// eeeParameters is struct ethtool_eee.
type eeeParameters struct {
	command, supported, advertised, partner, active, enabled, transmitIdle, timer uint32
	_                                                                             [2]uint32
}

// eee implements card.
func (k kernel) eee() (eeeParameters, error) {
	e := eeeParameters{command: unix.ETHTOOL_GEEE}
	err := k.ask(unsafe.Pointer(&e))
	return e, err
}

// setEEE implements card.
func (k kernel) setEEE(e eeeParameters) error {
	e.command = unix.ETHTOOL_SEEE
	return k.ask(unsafe.Pointer(&e))
}

// pauseParameters is struct ethtool_pauseparam.
type pauseParameters struct{ command, autonegotiate, receive, send uint32 }

// pauseOff turns flow control off (IEEE 802.3 annex 31B): a receiver must not
// send PAUSE, nor a transmitter obey it. A driver without it needs nothing.
func pauseOff(k kernel) error {
	p := pauseParameters{command: unix.ETHTOOL_GPAUSEPARAM}
	if err := k.ask(unsafe.Pointer(&p)); errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	} else if err != nil {
		return err
	}
	if p.autonegotiate|p.receive|p.send == 0 {
		return nil
	}
	return k.ask(unsafe.Pointer(&pauseParameters{command: unix.ETHTOOL_SPAUSEPARAM}))
}
