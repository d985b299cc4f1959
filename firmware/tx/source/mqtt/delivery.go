package mqtt

import "sync"

// delivery is a message on its way over the link.
type delivery struct {
	sum  uint64 // of what was sent, see markOf
	left bool
	done func()      // acknowledges it on the connection that brought it last
	fail func(error) // gives that connection up
}

// deliveries remembers messages over connections, so that QoS 2 crosses once
// although it is acknowledged late: a broker that lost the connection before
// the acknowledgement sends the message again under the same packet identifier,
// marked DUP (MQTT 5.0 §4.3.3, §4.4).
type deliveries struct {
	mu   sync.Mutex
	byID map[uint16]*delivery // QoS 2; at most 65,535, the last of each identifier
}

func newDeliveries() *deliveries {
	return &deliveries{byID: map[uint16]*delivery{}}
}

// forget drops what belongs to a session that the broker no longer has.
func (s *deliveries) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byID)
}

// take notes a message. It returns nil when the message is on its way already:
// then it is acknowledged, on this connection, as soon as it has left.
func (s *deliveries) take(qos byte, o origin, sum uint64, done func(), fail func(error)) *delivery {
	d := &delivery{sum: sum, done: done, fail: fail}
	if qos != 2 {
		return d
	}
	s.mu.Lock()
	old := s.byID[o.id]
	if !o.dup || old == nil || old.sum != sum {
		s.byID[o.id] = d
		s.mu.Unlock()
		return d
	}
	old.done, old.fail = done, fail
	left := old.left
	s.mu.Unlock()
	if left {
		done()
	}
	return nil
}

// leave says that d has left.
func (s *deliveries) leave(d *delivery) {
	s.mu.Lock()
	d.left = true
	done := d.done
	s.mu.Unlock()
	done()
}

// lose says that d never leaves: it is to be sent again.
func (s *deliveries) lose(d *delivery, o origin, err error) {
	s.mu.Lock()
	if s.byID[o.id] == d {
		delete(s.byID, o.id)
	}
	fail := d.fail
	s.mu.Unlock()
	fail(err)
}
