package server

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"heliograph/firmware/opcua/historyread"
)

// historyState is how far a HistoryRead of one node has come.
type historyState struct {
	kind    historyKind
	details uint64 // hash of the details, where they are needed again

	raw       historyread.Raw
	processed historyread.Processed
	events    historyread.Events
	times     int // of ReadAtTimeDetails, that were read
}

// historyPoint is a continuation point of a HistoryRead. It holds neither values nor memory of
// the historian, so that it stays valid while the server does other work.
type historyPoint struct {
	historyState
	node    uint64 // hash of the NodeId
	request uint64 // the HistoryRead that made it
}

// historyPoints are those of a session.
type historyPoints struct {
	mu       sync.Mutex
	last     uint64
	requests uint64
	points   map[uint64]historyPoint
}

// begin numbers a HistoryRead.
func (p *historyPoints) begin() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	return p.requests
}

// hold stores a continuation point. With as many as a session may have, the oldest one of earlier
// requests is released (OPC 10000-4 §7.9); nil if there is none.
func (p *historyPoints) hold(at historyPoint, limit int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.points == nil {
		p.points = map[uint64]historyPoint{}
	}
	if len(p.points) >= limit {
		oldest := slices.Min(slices.Collect(maps.Keys(p.points)))
		if p.points[oldest].request == at.request {
			return nil
		}
		delete(p.points, oldest)
	}
	p.last++
	p.points[p.last] = at
	return binary.LittleEndian.AppendUint64(nil, p.last)
}

// claim removes and returns a continuation point: each is valid once.
func (p *historyPoints) claim(point []byte, node uint64) (at historyPoint, ok bool) {
	if len(point) != 8 {
		return at, false
	}
	number := binary.LittleEndian.Uint64(point)
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok = p.points[number]
	if !ok || at.node != node {
		return at, false
	}
	delete(p.points, number)
	return at, true
}
