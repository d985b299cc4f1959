package server

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
)

// continuationPoints are those of a session for one service, with what each of them continues.
type continuationPoints[T any] struct {
	mu       sync.Mutex
	last     uint64
	requests uint64
	points   map[uint64]continuation[T]
}

type continuation[T any] struct {
	state   T
	request uint64 // that made it
}

// begin numbers a request.
func (p *continuationPoints[T]) begin() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	return p.requests
}

// hold stores a continuation point of a request. With as many as a session may have, the oldest one
// of earlier requests is released (OPC 10000-4 §7.9); nil if there is none.
func (p *continuationPoints[T]) hold(state T, request uint64, limit int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.points == nil {
		p.points = map[uint64]continuation[T]{}
	}
	if len(p.points) >= limit {
		oldest := slices.Min(slices.Collect(maps.Keys(p.points)))
		if p.points[oldest].request == request {
			return nil
		}
		delete(p.points, oldest)
	}
	p.last++
	p.points[p.last] = continuation[T]{state, request}
	return binary.LittleEndian.AppendUint64(nil, p.last)
}

// claim removes and returns what a continuation point continues, if that fits the request: each is
// valid once.
func (p *continuationPoints[T]) claim(point []byte, fits func(T) bool) (state T, ok bool) {
	if len(point) != 8 {
		return state, false
	}
	number := binary.LittleEndian.Uint64(point)
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.points[number]
	if !ok || !fits(at.state) {
		return state, false
	}
	delete(p.points, number)
	return at.state, true
}
