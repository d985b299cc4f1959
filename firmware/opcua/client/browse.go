package client

import (
	"context"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// Our own choices.
const (
	maxReferences   = 24 << 20 // bytes of references held at a time
	maxContinuation = 64 << 10
	maxEmpty        = 100 // continuations in a row that continue nothing

	// A node may continue maxContinuations times, and once more for every
	// perContinuation references that it has listed so far.
	maxContinuations = 1000
	perContinuation  = 8
)

// resultMask asks for the reference type and the direction. The rest is in the far
// node's attributes.
const resultMask = 0x01 | 0x02

// Browse calls f for each node with all references that the server lists for it, in
// both directions and of every type, or with the status that says why not. A node
// whose references are more than are held here, or that continues without end, has
// Bad_EncodingLimitsExceeded beside those it listed until then. Calls come in no
// particular order; f may keep what it is given.
func (s *Session) Browse(ctx context.Context, ids []rawvalue.NodeID,
	f func(i int, status ua.StatusCode, refs []addrspace.Reference)) error {
	b := browser{s: s, ids: ids, f: f}
	for next := 0; next < len(ids); {
		n := min(s.batches.browse.size(), len(ids)-next)
		part := make([]int, n)
		for k := range part {
			part[k] = next + k
		}
		if err := b.part(ctx, part, 0); err != nil {
			return err
		}
		next += n
	}
	return nil
}

type browser struct {
	s   *Session
	ids []rawvalue.NodeID
	f   func(int, ua.StatusCode, []addrspace.Reference)
	why ua.StatusCode // with which the node that is browsed alone failed first
}

// browsed is what is known of one node so far.
type browsed struct {
	at     int
	status ua.StatusCode
	refs   []addrspace.Reference
	size   int    // of refs, in bytes
	point  []byte // where to go on, nil at the end
	empty  int    // continuations in a row without a reference
	rounds int    // continuations
	over   bool   // it has more references than are taken of one node
}

// part browses some nodes with at most so many references for each in one response, 0
// for as many as the server likes.
func (b *browser) part(ctx context.Context, at []int, most uint32) error {
	began := time.Now()
	list, err := b.first(ctx, at, most)
	if err == nil {
		b.s.batches.browse.done(len(at), time.Since(began), b.s.timeout)
	} else {
		if !b.s.divisible(err, &b.s.batches.browse, len(at)) {
			return err
		}
		b.release(list)
		return b.again(ctx, at, len(at)/2, most, codeOf(err))
	}
	points := 0
	for _, n := range list {
		if n.point != nil {
			points++
		}
	}
	if err := b.follow(ctx, list); err != nil {
		b.release(list)
		return err
	}
	var again []int
	var why ua.StatusCode
	for _, n := range list {
		b.s.resolveLocal(n.refs)
		if n.over {
			b.f(n.at, ua.StatusBadEncodingLimitsExceeded, n.refs)
			continue
		}
		switch n.status {
		case ua.StatusBadNoContinuationPoints, ua.StatusBadContinuationPointInvalid,
			ua.StatusBadEncodingLimitsExceeded:
			again, why = append(again, n.at), n.status
		default:
			b.f(n.at, n.status, n.refs)
		}
	}
	b.release(list)
	if len(again) == 0 {
		return nil
	}
	size := max(1, points, len(again)/2)
	if len(again) == len(at) {
		size = min(size, len(again)/2)
	}
	return b.again(ctx, again, size, most, why)
}

// again browses nodes in parts of at most size, or, when there is one alone left, with
// fewer references at a time. When that fails too, f gets the status with which it began.
func (b *browser) again(ctx context.Context, at []int, size int, most uint32, why ua.StatusCode) error {
	if len(at) == 1 && size == 0 {
		switch most {
		case 0:
			most, b.why = 1000, why
		case 1000:
			most = 10
		default:
			b.f(at[0], b.why, nil)
			return nil
		}
		return b.part(ctx, at, most)
	}
	for size = max(1, size); len(at) > 0; at = at[min(size, len(at)):] {
		if err := b.part(ctx, at[:min(size, len(at))], most); err != nil {
			return err
		}
	}
	return nil
}

// first asks for the references of nodes.
func (b *browser) first(ctx context.Context, at []int, most uint32) ([]*browsed, error) {
	a, err := b.s.do(ctx, browse(), 0, func(p []byte) []byte {
		p = append(p, 0, 0) // no view: NodeId, time, version
		p = append(p, make([]byte, 12)...)
		p = appendUint32(p, most)
		p = appendUint32(p, uint32(len(at)))
		for _, i := range at {
			p = b.ids[i].AppendTo(p)
			p = appendUint32(p, uint32(ua.BrowseDirectionBoth))
			p = append(p, 0, 0, 1) // every type, subtypes included
			p = appendUint32(p, 0) // every class
			p = appendUint32(p, resultMask)
		}
		return p
	})
	if err != nil {
		return nil, err
	}
	list := make([]*browsed, len(at))
	for k, i := range at {
		list[k] = &browsed{at: i}
	}
	return list, results(&a.Cursor, "Browse", list, maxReferences, len(at) == 1)
}

// follow goes on where nodes have more references until none has, and leaves the
// status of those that fail.
func (b *browser) follow(ctx context.Context, list []*browsed) error {
	for {
		var open []*browsed
		taken := 0
		for _, n := range list {
			if taken += n.size; n.point != nil && !n.over {
				open = append(open, n)
			}
		}
		if len(open) == 0 {
			return nil
		}
		open = open[:min(len(open), b.s.batches.browse.size())]
		err := b.next(ctx, open, maxReferences-taken, len(list) == 1)
		if err != nil && !b.s.divisible(err, &b.s.batches.browse, len(open)) {
			return err
		}
		if err != nil { // the state of the points is unknown: start again
			b.release(open)
			for _, n := range open {
				n.refs, n.size, n.status, n.point = nil, 0, ua.StatusBadContinuationPointInvalid, nil
			}
		}
	}
}

func (b *browser) next(ctx context.Context, list []*browsed, room int, alone bool) error {
	a, err := b.s.do(ctx, browseNext(), 0, func(p []byte) []byte { return appendPoints(p, false, list) })
	if err != nil {
		return err
	}
	return results(&a.Cursor, "BrowseNext", list, room, alone)
}

func appendPoints(p []byte, release bool, list []*browsed) []byte {
	p = appendUint32(appendBool(p, release), uint32(len(list)))
	for _, n := range list {
		p = appendBytes(p, n.point)
	}
	return p
}

// release releases continuation points. Errors do not matter: the server frees them
// with the session.
func (b *browser) release(list []*browsed) {
	var open []*browsed
	for _, n := range list {
		if n.point != nil {
			open = append(open, n)
		}
	}
	ctx, cancel := context.WithTimeout(b.s.ctx, b.s.pace.timeout(browseNext().name, b.s.timeout))
	defer cancel()
	for len(open) > 0 {
		n := min(len(open), b.s.batches.browse.size())
		_, _ = b.s.do(ctx, browseNext(), 0, func(p []byte) []byte { return appendPoints(p, true, open[:n]) })
		for _, o := range open[:n] {
			o.point = nil
		}
		open = open[n:]
	}
}
