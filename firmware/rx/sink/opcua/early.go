package opcua

import (
	"time"

	"heliograph/firmware/opcua/rawvalue"
)

// Our own bounds of the values of a mirror that wait for their nodes: the carousel, which may bring a
// node after its value, takes a minute or so on a slow line, and 1000 values/s are many there.
const (
	maxEarlyValues = 1 << 16
	maxEarlyLength = 16 << 20 // bytes of their DataValues
)

// early is how much waits for nodes: values that newer ones have replaced, for the history. The newest
// one of each variable is beside them.
type early struct{ values, bytes int }

// earlyValue is a DataValue that came before its node.
type earlyValue struct {
	raw  []byte
	came time.Time
}

// replaceEarly has the value of a variable without a node wait, as a newer one replaces it. One for
// which there is no room counts as refused.
func (m *mirror) replaceEarly(v *variable) {
	if v.value == nil || v.node != (rawvalue.NodeID{}) {
		return
	}
	e := &m.early
	if e.values >= maxEarlyValues || e.bytes+len(v.value) > maxEarlyLength {
		m.refused(1)
		return
	}
	e.values, e.bytes = e.values+1, e.bytes+len(v.value)
	v.early = append(v.early, earlyValue{v.value, v.came})
}

// keepEarly adds the values of a variable that came before its node to the history.
func (m *mirror) keepEarly(v *variable) {
	for _, e := range m.takeEarly(v) {
		_ = m.history.addValue(v.historyName, e.raw, e.came) // the store counts it
	}
}

// dropEarly counts all values of a variable whose node does not come any more, the newest too.
func (m *mirror) dropEarly(v *variable) {
	if m.history == nil || v.value == nil || v.node != (rawvalue.NodeID{}) {
		return
	}
	m.refused(uint64(len(m.takeEarly(v))) + 1)
}

// takeEarly removes and returns the values of a variable that wait.
func (m *mirror) takeEarly(v *variable) (list []earlyValue) {
	list, v.early = v.early, nil
	m.early.values -= len(list)
	for _, e := range list {
		m.early.bytes -= len(e.raw)
	}
	return list
}
