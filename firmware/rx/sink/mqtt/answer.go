package mqtt

import (
	"errors"

	"github.com/eclipse/paho.golang/paho"
)

// answers are the packets that a broker sends to a client which only publishes
// (MQTT 5.0 §2.1.2): CONNACK, PUBACK, PUBREC, PUBCOMP, PINGRESP, DISCONNECT. The
// client libraries index and allocate by what others say.
const answers = 1<<2 | 1<<4 | 1<<5 | 1<<7 | 1<<13 | 1<<14

// maxAnswer bounds one of them in bytes; properties make it long.
const maxAnswer = 64 << 10

var errAnswer = errors.New("the broker sent a packet that no broker sends to a publisher")

// follower follows a broker's packets by their fixed headers (§2.1).
type follower struct {
	head [5]byte // type, then the remaining length
	have int
	left int64 // of the packet, once its head is read
}

// follow refuses what is no answer, or too long, before a library sees it.
func (f *follower) follow(b []byte) error {
	for len(b) > 0 {
		if f.left > 0 {
			k := min(f.left, int64(len(b)))
			f.left -= k
			b = b[k:]
			continue
		}
		if err := f.header(b[0]); err != nil {
			return err
		}
		b = b[1:]
	}
	return nil
}

func (f *follower) header(b byte) error {
	f.head[f.have] = b
	f.have++
	switch {
	case answers>>(f.head[0]>>4)&1 == 0:
		return errAnswer
	case f.have == 1:
		return nil
	case b&0x80 != 0 && f.have < len(f.head):
		return nil
	case b&0x80 != 0:
		return errAnswer
	}
	for i := f.have - 1; i > 0; i-- {
		f.left = f.left<<7 | int64(f.head[i]&0x7f)
	}
	if f.have = 0; f.left > maxAnswer {
		return errAnswer
	}
	return nil
}

// errAuthentication is returned for a broker that authenticates in steps.
var errAuthentication = errors.New("the broker wants an authentication in steps, which is not supported; give it username and password, or a certificate")

// stepless is there because paho calls its handler, nil or not, when a CONNACK
// names an authentication method.
type stepless struct{}

func (stepless) Authenticate(*paho.Auth) *paho.Auth { return &paho.Auth{} }

func (stepless) Authenticated() {}
