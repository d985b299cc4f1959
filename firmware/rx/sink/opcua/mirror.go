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

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	opcserver "heliograph/firmware/opcua/server"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// Server is what the mirror needs of an OPC UA server; *server.Server is one.
type Server interface {
	Run(ctx context.Context) error
	Ready() error
	// Set sets a variable's newest DataValue, which must not be modified afterwards; Remove
	// removes it.
	Set(id rawvalue.NodeID, dataValue []byte)
	Remove(id rawvalue.NodeID)
	// SetMissing sets the status of variables without a value.
	SetMissing(ua.StatusCode)
	SetNamespaces(uris []string)
	StructureChanged([]addrspace.Affected)
	// Emit reports an event to clients, and records the state of its condition; Forget drops
	// a condition without an event, and asks clients to refresh.
	Emit(*event.Event)
	Forget(condition, branch rawvalue.NodeID)
	// CloseSessions closes all sessions and refuses new ones until Reopen.
	CloseSessions(reason ua.StatusCode)
	Reopen()
	SetState(state ua.ServerState, serviceLevel byte)
	Space() *addrspace.Space
	Counters() []counter.Set
	Clients() []opcserver.Client
}

// Channel is a channel of the link as the mirror needs it.
type Channel interface {
	sink.Channel
	// States is Range with the source's time of each payload.
	States(f func(sink.Update) bool)
}

// mirror rebuilds the server of one channel. It is for one goroutine.
type mirror struct {
	server           Server
	history          *History       // nil: none is kept
	refused          func(n uint64) // counts records that no client will see
	log              *slog.Logger
	packer           payload.Packer
	current          payload.SpaceHeader
	announced        bool                 // current is set
	next             *payload.SpaceHeader // the next generation, until it is complete
	nextSince        time.Time            // when next was announced
	nextTotals       uint64               // Health.Totals by then
	nodes            map[uint32]*variable // by handle; those that a block or a value has named
	early            early
	events           events
	quality          quality
	structureChanged bool          // since the cache was written
	metadataChanged  bool          // since the cache was written
	typesChecked     time.Time     // when updateTypes ran last
	typesOutdated    bool          // the structure changed since
	unusable         atomic.Uint64 // records that could not be used
}

func newMirror(s Server, h *History, refused func(uint64), log *slog.Logger) *mirror {
	return &mirror{server: s, history: h, refused: refused, log: log, nodes: map[uint32]*variable{},
		events: newEvents(s, h), quality: quality{sourceLevel: fullService}}
}

// handleUpdate applies an update, and counts it if it is unusable.
func (m *mirror) handleUpdate(u *sink.Update) { m.countUnusable(m.apply(u)) }

var errGeneration = errors.New("event of another generation: its NodeIds mean other nodes")

func (m *mirror) apply(u *sink.Update) error {
	if u.Late {
		return m.applyLate(u)
	}
	if u.Key == nil {
		if generation, _, err := payload.ParseEvent(u.Payload); err == nil && m.announced &&
			generation != m.current.Generation {
			return errGeneration
		}
		return m.events.handleEvent(u)
	}
	k, err := payload.ParseKey(u.Key)
	switch {
	case err != nil:
		return err
	case k.Kind == payload.Space:
		return m.setGeneration(u)
	case k.Generation != m.current.Generation || !m.announced:
		return nil // of a previous generation, or of the next one, which is read again when it is complete
	case k.Kind == payload.Block:
		return m.applyBlock(k.Number, u.Payload)
	case k.Kind == payload.Value:
		return m.applyValue(k.Number, u)
	case k.Kind == payload.Table:
		err := m.events.addTable(u)
		for _, early := range m.events.takeEarly() {
			m.countUnusable(m.apply(&early))
		}
		return err
	case k.Kind == payload.Condition:
		return m.events.handleEvent(u)
	}
	return nil
}

// countUnusable counts a record that cannot be used, and logs the 1st, 2nd, 4th …
func (m *mirror) countUnusable(err error) {
	if err == nil {
		return
	}
	m.refused(1)
	if n := m.unusable.Add(1); n&(n-1) == 0 {
		m.log.Error("unusable record", "error", err, "records", n)
	}
}

// setGeneration sets the generation in force, or the next one.
func (m *mirror) setGeneration(u *sink.Update) error {
	if u.Delete {
		return nil
	}
	var p payload.SpaceHeader
	if err := p.Parse(u.Payload); err != nil {
		return err
	}
	if m.announced && p.Generation != m.current.Generation {
		if m.next == nil || m.next.Generation != p.Generation {
			m.nextSince = time.Time{}
		}
		m.next = &p
		return nil
	}
	m.structureChanged = true
	// Records of it may have arrived before it, and nodes before their namespaces.
	again := !m.announced || len(p.Namespaces) > len(m.current.Namespaces)
	m.current, m.announced, m.next = p, true, nil
	m.setNamespaces()
	m.quality.reloadPending = m.quality.reloadPending || again
	return nil
}

// setNamespaces has the namespaces of the generation in force count.
func (m *mirror) setNamespaces() {
	m.server.SetNamespaces(m.current.Namespaces)
	if m.history != nil {
		m.history.setSpace(m.current)
	}
}

// swapGeneration puts the next generation in force. All sessions are closed, because NodeIds
// have another meaning.
func (m *mirror) swapGeneration(ch Channel) {
	m.log.Warn("source NamespaceArray changed; closing all sessions", "generation", m.next.Generation)
	m.server.CloseSessions(ua.StatusBadSessionClosed)
	m.current, m.next, m.structureChanged = *m.next, nil, true
	for _, v := range m.nodes {
		m.dropEarly(v)
		if v.exists {
			m.server.Remove(v.node)
		}
	}
	m.setNamespaces()
	for range m.events.takeEarly() {
		m.countUnusable(errGeneration)
	}
	m.nodes, m.events = map[uint32]*variable{}, newEvents(m.server, m.history)
	if err := m.server.Space().Replace(func(func(addrspace.Node) bool) {}); err != nil {
		m.log.Error("address space not cleared", "error", err)
	}
	m.reload(ch)
	m.server.Reopen()
}

// reload applies the complete state of the channel again. Unusable records were counted when
// they arrived.
func (m *mirror) reload(ch Channel) {
	for _, kind := range []payload.Kind{payload.Space, payload.Block, payload.Value, payload.Table, payload.Condition} {
		for u := range states(ch, kind) {
			_ = m.apply(&u)
		}
	}
}

// states yields the records of a kind, copied.
func states(ch Channel, kind payload.Kind) iter.Seq[sink.Update] {
	var all []sink.Update
	ch.States(func(u sink.Update) bool {
		if len(u.Key) > 0 && u.Key[0] == byte(kind) {
			u.Key, u.Payload = bytes.Clone(u.Key), bytes.Clone(u.Payload)
			all = append(all, u)
		}
		return true
	})
	return slices.Values(all)
}
