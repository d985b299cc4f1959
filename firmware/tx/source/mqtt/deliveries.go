package mqtt

import "sync"

// delivery is a message on its way over the link.
type delivery struct {
	sum     uint64 // of what was sent, see mark
	hasLeft bool
	done    func()      // acknowledges it on the connection that brought it last
	fail    func(error) // closes that connection
}

// deliveries remembers messages over connections, so that QoS 2 crosses once
// although it is acknowledged late: a broker that lost the connection before
// the acknowledgement sends the message again under the same packet identifier,
// marked DUP (MQTT 5.0 §4.3.3, §4.4). Its PUBREL ends that: then the identifier may
// stand for another message, marked DUP or not.
type deliveries struct {
	mu   sync.Mutex
	byID map[uint16]*delivery // QoS 2 without PUBREL, at most 65,535
}

func newDeliveries() *deliveries {
	return &deliveries{byID: map[uint16]*delivery{}}
}

// reset drops what belongs to a session that the broker no longer has.
func (s *deliveries) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byID)
}

// released drops the message whose exchange the broker has ended.
func (s *deliveries) released(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

// add notes a message. It returns nil when the message is on its way already: then
// it is acknowledged as d says as soon as it has left.
func (s *deliveries) add(qos byte, o origin, d *delivery) *delivery {
	if qos != 2 {
		return d
	}
	s.mu.Lock()
	old := s.byID[o.id]
	if !o.dup || old == nil || old.sum != d.sum {
		s.byID[o.id] = d
		s.mu.Unlock()
		return d
	}
	old.done, old.fail = d.done, d.fail
	hasLeft := old.hasLeft
	s.mu.Unlock()
	if hasLeft {
		d.done()
	}
	return nil
}

// left notes that d has left.
func (s *deliveries) left(d *delivery) {
	s.mu.Lock()
	d.hasLeft = true
	done := d.done
	s.mu.Unlock()
	done()
}

// lost notes that d never leaves: it has to be sent again.
func (s *deliveries) lost(d *delivery, o origin, err error) {
	s.mu.Lock()
	if s.byID[o.id] == d {
		delete(s.byID, o.id)
	}
	fail := d.fail
	s.mu.Unlock()
	fail(err)
}
