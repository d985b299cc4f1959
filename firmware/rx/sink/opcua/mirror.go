package opcua

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// Server is what the mirror needs of an OPC UA server; *server.Server is one.
type Server interface {
	Run(ctx context.Context) error
	Ready() error
	// Set gives a variable its newest DataValue, and Remove none; what it is given
	// must not change afterwards.
	Set(id rawvalue.NodeID, dataValue []byte)
	Remove(id rawvalue.NodeID)
	// SetMissing says what variables without a value answer with.
	SetMissing(ua.StatusCode)
	SetNamespaces(uris []string)
	StructureChanged([]addrspace.Affected)
	// Emit tells clients of an event, and notes the state of its condition; Forget
	// ends a condition without an event.
	Emit(*event.Event)
	Forget(condition, branch rawvalue.NodeID)
	// CloseSessions ends all sessions and refuses new ones until Reopen.
	CloseSessions(reason ua.StatusCode)
	Reopen()
	SetState(state ua.ServerState, serviceLevel byte)
	Space() *addrspace.Space
	Counters() []counter.Set
}

// Channel is a channel of the link as the mirror needs it.
type Channel interface {
	sink.Channel
	// States is Range with the source's time of each payload.
	States(f func(sink.Update) bool)
}

// variable is what is known of a handle.
type variable struct {
	node  rawvalue.NodeID
	known bool   // its block came
	value []byte // the source's DataValue; nil: none yet
	worse bool   // it is served with a quality below the source's, unless it describes

	// absent is served in the place of a value: the transmitter has one that the link
	// does not carry, nor had room for a status instead. nil: nothing of the kind.
	absent []byte

	property bool // it describes: what it is says so
	ofType   bool // it describes: it is below the Types folder
}

// describes tells whether the value keeps its quality whatever happens.
func (v *variable) describes() bool { return v.property || v.ofType }

// mirror is the picture of one channel. It is for one goroutine.
type mirror struct {
	server       Server
	refused      func(n uint64) // moves records that no client will see from those delivered
	log          *slog.Logger
	packer       payload.Packer
	current      payload.SpaceHeader
	begun        bool                 // current is set
	next         *payload.SpaceHeader // a generation that waits for its completion
	since        time.Time            // for how long
	nodes        []variable           // by handle
	events       events
	quality      quality
	changed      bool          // what the cache keeps, since it was written
	learnt       bool          // … a value alone
	typed        time.Time     // when types last looked
	restructured bool          // since then
	bad          atomic.Uint64 // records that could not be used
}

func newMirror(s Server, refused func(uint64), log *slog.Logger) *mirror {
	return &mirror{server: s, refused: refused, log: log, events: newEvents(s), quality: quality{sourceLevel: fullService}}
}

// take takes one update over, and counts what it cannot use.
func (m *mirror) take(u *sink.Update) { m.account(m.apply(u)) }

var errGeneration = errors.New("an event of another generation: its NodeIds would mean other nodes")

func (m *mirror) apply(u *sink.Update) error {
	if u.Key == nil {
		if generation, _, err := payload.ParseEvent(u.Payload); err == nil && m.begun && generation != m.current.Generation {
			return errGeneration
		}
		return m.events.take(u)
	}
	k, err := payload.ParseKey(u.Key)
	switch {
	case err != nil:
		return err
	case k.Kind == payload.Space:
		return m.announce(u)
	case k.Generation != m.current.Generation || !m.begun:
		return nil // of a generation that is over, or waits in the picture for its turn
	case k.Kind == payload.Block:
		return m.block(k.Number, u.Payload)
	case k.Kind == payload.Value:
		return m.value(k.Number, u)
	case k.Kind == payload.Table:
		err := m.events.table(u)
		for _, early := range m.events.waited() {
			m.account(m.events.take(&early))
		}
		return err
	case k.Kind == payload.Condition:
		return m.events.take(u)
	}
	return nil
}

// account counts a record that cannot be used.
func (m *mirror) account(err error) {
	if err == nil {
		return
	}
	m.refused(1)
	if n := m.bad.Add(1); n&(n-1) == 0 { // the 1st, 2nd, 4th …
		m.log.Error("the mirror cannot use a record", "error", err, "records", n)
	}
}

// announce takes the generation in force.
func (m *mirror) announce(u *sink.Update) error {
	if u.Delete {
		return nil
	}
	var p payload.SpaceHeader
	if err := p.Parse(u.Payload); err != nil {
		return err
	}
	if m.begun && p.Generation != m.current.Generation {
		m.next, m.since = &p, time.Time{}
		return nil
	}
	m.changed = true
	fresh := !m.begun
	m.current, m.begun, m.next = p, true, nil
	m.server.SetNamespaces(p.Namespaces)
	m.quality.again = m.quality.again || fresh // records of it may have come before
	return nil
}

// swap makes the generation that waited the one in force. Clients must connect
// again: what their NodeIds mean has changed.
func (m *mirror) swap(p Channel) {
	m.log.Warn("the source has another namespace table: all clients are sent away and may come again", "generation", m.next.Generation)
	m.server.CloseSessions(ua.StatusBadSessionClosed)
	m.current, m.next, m.changed = *m.next, nil, true
	for _, v := range m.nodes {
		if v.known {
			m.server.Remove(v.node)
		}
	}
	m.server.SetNamespaces(m.current.Namespaces)
	for range m.events.waited() {
		m.account(errGeneration)
	}
	m.nodes, m.events = nil, newEvents(m.server)
	if err := m.server.Space().Replace(func(func(addrspace.Node) bool) {}); err != nil {
		m.log.Error("the old address space is not cleared", "error", err)
	}
	m.reload(p)
	m.server.Reopen()
}

// reload takes over the whole picture as it stands. What of it cannot be used was counted
// when it came.
func (m *mirror) reload(p Channel) {
	for _, kind := range []payload.Kind{payload.Space, payload.Block, payload.Value, payload.Table, payload.Condition} {
		for u := range states(p, kind) {
			_ = m.apply(&u)
		}
	}
}

// states yields the records of a kind. They are copied: the picture lends them.
func states(p Channel, kind payload.Kind) iter.Seq[sink.Update] {
	var all []sink.Update
	p.States(func(u sink.Update) bool {
		if len(u.Key) > 0 && u.Key[0] == byte(kind) {
			u.Key, u.Payload = bytes.Clone(u.Key), bytes.Clone(u.Payload)
			all = append(all, u)
		}
		return true
	})
	return slices.Values(all)
}

// at returns what is known of a handle.
func (m *mirror) at(handle uint32) *variable {
	if int(handle) >= len(m.nodes) {
		m.nodes = append(m.nodes, make([]variable, int(handle)+1-len(m.nodes))...)
	}
	return &m.nodes[handle]
}

// maxHandle bounds what a handle may make us allocate.
const maxHandle = 16 << 20

// block makes the nodes of a block what it says, and tells clients.
func (m *mirror) block(number uint32, packed []byte) error {
	if number >= maxHandle/payload.BlockNodes {
		return payload.ErrMalformed
	}
	var changes []addrspace.Change
	var here, shows [payload.BlockNodes]bool
	first := number * payload.BlockNodes
	if len(packed) > 0 { // a deleted block has none
		err := m.packer.Unpack(packed, func(slot byte, n addrspace.Node) {
			here[slot] = true
			readOnly(&n)
			absent := takeValue(&n)
			changes = append(changes, addrspace.Change{Kind: addrspace.Put, Node: n})
			v := m.at(first + uint32(slot))
			v.node, v.property = n.ID, describes(&n)
			shows[slot] = !v.known || absent != nil || v.absent != nil
			v.absent = absent
		})
		if err != nil {
			return err
		}
	}
	for slot, exists := range here {
		h := first + uint32(slot)
		if exists || int(h) >= len(m.nodes) || !m.nodes[h].known {
			continue
		}
		v := &m.nodes[h]
		v.known = false
		m.server.Remove(v.node)
		changes = append(changes, addrspace.Change{Kind: addrspace.Remove, Node: addrspace.Node{ID: v.node}})
	}
	affected, err := m.server.Space().Apply(changes)
	if err != nil {
		return err
	}
	m.changed = m.changed || len(affected) > 0
	m.restructured = m.restructured || len(affected) > 0
	for slot, exists := range here {
		if v := m.at(first + uint32(slot)); exists && shows[slot] {
			v.known = true
			if v.value == nil && v.absent == nil {
				m.server.Remove(v.node)
			}
			m.show(v)
		}
	}
	if m.quality.whole {
		m.server.StructureChanged(affected)
	}
	return nil
}

// value takes the newest value of a variable.
func (m *mirror) value(handle uint32, u *sink.Update) error {
	if handle >= maxHandle {
		return payload.ErrMalformed
	}
	v := m.at(handle)
	if u.Delete {
		v.value = nil
		if v.known && v.absent == nil {
			m.server.Remove(v.node)
		}
		return nil
	}
	raw, err := payload.ParseValue(make([]byte, 0, len(u.Payload)+16), u.Payload, u.Time)
	if err != nil {
		return err
	}
	if v.describes() && !bytes.Equal(v.value, raw) {
		m.learnt = true
	}
	v.value, v.worse = raw, m.quality.overlay != ua.StatusOK
	if v.known && v.node == (rawvalue.NodeID{Number: id.Server_ServiceLevel}) {
		m.quality.sourceLevel = level(raw)
	}
	m.show(v)
	return nil
}

// show hands a variable's value to the server with the quality it deserves.
func (m *mirror) show(v *variable) {
	value := v.value
	if v.absent != nil {
		value = v.absent
	}
	if !v.known || value == nil {
		return
	}
	if !v.worse || v.describes() {
		m.server.Set(v.node, value)
		return
	}
	dv, err := rawvalue.SkimDataValue(value, rawvalue.Limits{})
	if err != nil {
		return // it was skimmed when it came
	}
	m.server.Set(v.node, dv.Append(nil, rawvalue.Answer{Timestamps: ua.TimestampsToReturnSource, Overlay: m.quality.code()}))
}

// level reads a ServiceLevel.
func level(raw []byte) byte {
	if v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err == nil && v.Value.Type() == ua.TypeIDByte && !v.Value.IsArray() {
		return v.Value.Raw[1]
	}
	return 255
}
