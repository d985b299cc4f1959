package server

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// The bits of a BrowseResultMask (OPC 10000-4 §5.9.2).
const (
	maskReferenceType  = 0x01
	maskIsForward      = 0x02
	maskNodeClass      = 0x04
	maskBrowseName     = 0x08
	maskDisplayName    = 0x10
	maskTypeDefinition = 0x20
)

// points are a session's continuation points.
type points struct {
	mu   sync.Mutex
	last uint32
	held map[uint32]browsing
}

// browsing is a browse of one node that goes on. It does so where it was even if
// other nodes have changed meanwhile: a position is the node's own.
type browsing struct {
	node       rawvalue.NodeID
	view       rawvalue.NodeID // null: the whole address space
	filter     addrspace.Filter
	mask       uint32
	most       int
	from       int
	generation uint64
}

func (q *query) browse(req *ua.BrowseRequest) {
	n := len(req.NodesToBrowse)
	if code := q.countOK(n); code != ua.StatusOK {
		q.fault(code)
		return
	}
	view, code := q.s.viewOf(req.View)
	if code != ua.StatusOK {
		q.fault(code)
		return
	}
	most := q.s.cfg.Limits.References
	if r := req.RequestedMaxReferencesPerNode; r > 0 && r < uint32(most) {
		most = int(r)
	}
	a := q.answer(id.BrowseResponse_Encoding_DefaultBinary)
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(n))
	effort := 0
	for _, d := range req.NodesToBrowse {
		q.s.cfg.Space.View(func(v addrspace.View) { // one by one: others look and change in between
			at, code := describe(v, d)
			at.most, at.view = most, view
			effort += degree(v, at.node)
			if effort <= maxEffort {
				a.b = q.result(a.b, v, at, code)
			}
		})
		if effort > maxEffort {
			a.fail(ua.StatusBadTooManyOperations)
			return
		}
		if !a.goOn() {
			return
		}
	}
	a.end()
}

// maxEffort bounds the references that one request has looked at, whether they pass
// its filters or not.
const maxEffort = 2_000_000

func degree(v addrspace.View, node rawvalue.NodeID) int {
	if ref, ok := v.Lookup(node); ok {
		return v.Degree(ref)
	}
	return 1
}

func (q *query) countOK(n int) ua.StatusCode {
	switch {
	case n == 0:
		return ua.StatusBadNothingToDo
	case n > q.s.cfg.Limits.Operations:
		return ua.StatusBadTooManyOperations
	}
	return ua.StatusOK
}

// describe checks what is to be browsed.
func describe(v addrspace.View, d *ua.BrowseDescription) (browsing, ua.StatusCode) {
	at := browsing{mask: d.ResultMask, generation: v.Generation()}
	var err error
	if at.node, err = rawvalue.FromUA(d.NodeID); err != nil {
		return at, ua.StatusBadNodeIDInvalid
	}
	if _, ok := v.Lookup(at.node); !ok {
		return at, ua.StatusBadNodeIDUnknown
	}
	if d.BrowseDirection > ua.BrowseDirectionBoth {
		return at, ua.StatusBadBrowseDirectionInvalid
	}
	at.filter = addrspace.Filter{Direction: d.BrowseDirection, Subtypes: d.IncludeSubtypes, Classes: d.NodeClassMask}
	if at.filter.Type, err = rawvalue.FromUA(d.ReferenceTypeID); err != nil {
		return at, ua.StatusBadReferenceTypeIDInvalid
	}
	if at.filter.Type != (rawvalue.NodeID{}) {
		if ref, ok := v.Lookup(at.filter.Type); !ok || v.Class(ref) != ua.NodeClassReferenceType {
			return at, ua.StatusBadReferenceTypeIDInvalid
		}
	}
	return at, ua.StatusOK
}

// result appends a BrowseResult.
func (q *query) result(b []byte, v addrspace.View, at browsing, code ua.StatusCode) []byte {
	var found []addrspace.Found
	next := -1
	within := q.inView(v, at.view)
	if code == ua.StatusOK {
		ref, ok := v.Lookup(at.node)
		if !ok {
			code = ua.StatusBadNodeIDUnknown
		} else if within != nil && !within[at.node] {
			code = ua.StatusBadNodeNotInView
		} else if code = q.s.restricted(v, ref, &q.client, true); code == ua.StatusOK {
			found, next = v.Browse(nil, ref, at.filter, at.from, at.most)
		}
	}
	point := uint32(0)
	if next >= 0 {
		at.from = next
		if point = q.hold(at); point == 0 {
			code, found = ua.StatusBadNoContinuationPoints, nil
		}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	if point == 0 {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	} else {
		b = append(b, 4, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, point)
	}
	count := len(b)
	b = append(b, 0, 0, 0, 0)
	n := uint32(0)
	for i := range found {
		f := &found[i]
		if within != nil && !within[f.Target] {
			continue
		}
		if !f.Exists || q.s.restricted(v, f.Node, &q.client, true) == ua.StatusOK {
			b = appendReference(b, v, f, at.mask)
			n++
		}
	}
	binary.LittleEndian.PutUint32(b[count:], n)
	return b
}

// hold keeps a continuation point and returns its number, 0 when there are too many.
func (q *query) hold(at browsing) uint32 {
	p := &q.session.points
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[uint32]browsing{}
	}
	if len(p.held) >= q.s.cfg.Limits.ContinuationPoints {
		return 0
	}
	if p.last++; p.last == 0 {
		p.last = 1
	}
	p.held[p.last] = at
	return p.last
}

// appendReference appends a ReferenceDescription. What it says of the far node is as
// the source gave it, byte for byte.
func appendReference(b []byte, v addrspace.View, f *addrspace.Found, mask uint32) []byte {
	if mask&maskReferenceType != 0 {
		b = f.Type.AppendTo(b)
	} else {
		b = append(b, 0, 0)
	}
	forward := byte(0)
	if mask&maskIsForward != 0 && !f.Inverse {
		forward = 1
	}
	b = append(b, forward)
	if f.External != "" {
		b = append(b, f.External...)
	} else {
		b = f.Target.AppendTo(b)
	}
	exists := f.Exists && f.External == ""
	b = appendElement(b, v, f.Node, ua.AttributeIDBrowseName, exists && mask&maskBrowseName != 0, []byte{0, 0, 0xff, 0xff, 0xff, 0xff})
	b = appendElement(b, v, f.Node, ua.AttributeIDDisplayName, exists && mask&maskDisplayName != 0, []byte{0})
	class := ua.NodeClass(0)
	if exists {
		class = v.Class(f.Node)
	}
	var definition rawvalue.NodeID // of other classes there is none (OPC 10000-4 §7.30)
	if mask&maskTypeDefinition != 0 && (class == ua.NodeClassObject || class == ua.NodeClassVariable) {
		definition = v.TypeDefinition(f.Node)
	}
	if mask&maskNodeClass == 0 {
		class = 0
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(class))
	return definition.AppendTo(b)
}

// appendElement appends the bytes of an attribute without the Variant around them, or
// what stands for none.
func appendElement(b []byte, v addrspace.View, ref addrspace.Ref, a ua.AttributeID, wanted bool, none []byte) []byte {
	if wanted {
		var buf [256]byte
		if raw, ok := v.AppendAttribute(buf[:0], ref, a); ok {
			if dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err == nil && !dv.Value.IsNull() && !dv.Value.IsArray() {
				return append(b, dv.Value.Elements()...)
			}
		}
	}
	return append(b, none...)
}

func (q *query) browseNext(req *ua.BrowseNextRequest) {
	n := len(req.ContinuationPoints)
	if code := q.countOK(n); code != ua.StatusOK {
		q.fault(code)
		return
	}
	a := q.answer(id.BrowseNextResponse_Encoding_DefaultBinary)
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(n))
	for _, point := range req.ContinuationPoints { // no more than a session holds are good
		at, ok := q.release(point)
		q.s.cfg.Space.View(func(v addrspace.View) {
			code := ua.StatusOK
			if !ok || at.generation != v.Generation() {
				code = ua.StatusBadContinuationPointInvalid
			}
			if req.ReleaseContinuationPoints {
				a.b = binary.LittleEndian.AppendUint32(a.b, uint32(code))
				a.b = append(a.b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0) // no point, nothing
			} else {
				a.b = q.result(a.b, v, at, code)
			}
		})
		if !a.goOn() {
			return
		}
	}
	a.end()
}

// release takes a continuation point back: each is good once.
func (q *query) release(point []byte) (browsing, bool) {
	if len(point) != 4 {
		return browsing{}, false
	}
	p := &q.session.points
	p.mu.Lock()
	defer p.mu.Unlock()
	n := binary.LittleEndian.Uint32(point)
	at, ok := p.held[n]
	delete(p.held, n)
	return at, ok
}

const (
	maxTargets   = 1000        // of one browse path
	maxTranslate = time.Second // of one request
)

func (q *query) translate(req *ua.TranslateBrowsePathsToNodeIDsRequest) {
	n := len(req.BrowsePaths)
	if code := q.countOK(n); code != ua.StatusOK {
		q.fault(code)
		return
	}
	resp := &ua.TranslateBrowsePathsToNodeIDsResponse{ResponseHeader: q.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
	began := time.Now()
	for _, p := range req.BrowsePaths {
		if time.Since(began) > maxTranslate {
			q.fault(ua.StatusBadTooManyOperations)
			return
		}
		q.s.cfg.Space.View(func(v addrspace.View) { resp.Results = append(resp.Results, q.translateOne(v, p)) })
	}
	q.reply(resp)
}

func (q *query) translateOne(v addrspace.View, p *ua.BrowsePath) *ua.BrowsePathResult {
	refuse := func(code ua.StatusCode) *ua.BrowsePathResult {
		return &ua.BrowsePathResult{StatusCode: code, Targets: []*ua.BrowsePathTarget{}}
	}
	start, err := rawvalue.FromUA(p.StartingNode)
	if err != nil {
		return refuse(ua.StatusBadNodeIDInvalid)
	}
	if _, ok := v.Lookup(start); !ok {
		return refuse(ua.StatusBadNodeIDUnknown)
	}
	if p.RelativePath == nil || len(p.RelativePath.Elements) == 0 {
		return refuse(ua.StatusBadNothingToDo)
	}
	var path []addrspace.Element
	for i, e := range p.RelativePath.Elements {
		kind, err := rawvalue.FromUA(e.ReferenceTypeID)
		if err != nil {
			return refuse(ua.StatusBadReferenceTypeIDInvalid)
		}
		el := addrspace.Element{Type: kind, Inverse: e.IsInverse, Subtypes: e.IncludeSubtypes}
		if e.TargetName != nil && e.TargetName.Name != "" {
			el.Name = rawvalue.QualifiedName{Namespace: e.TargetName.NamespaceIndex, Name: []byte(e.TargetName.Name)}
		} else if i < len(p.RelativePath.Elements)-1 {
			return refuse(ua.StatusBadBrowseNameInvalid)
		}
		path = append(path, el)
	}
	targets, code := v.Translate(start, path, maxTargets)
	result := refuse(code)
	if code != ua.StatusOK {
		return result
	}
	for _, t := range targets {
		if ref, ok := v.Lookup(t); ok && q.s.restricted(v, ref, &q.client, true) != ua.StatusOK {
			continue
		}
		result.Targets = append(result.Targets, &ua.BrowsePathTarget{TargetID: ua.NewExpandedNodeID(t.UA(), "", 0), RemainingPathIndex: math.MaxUint32})
	}
	return result
}

// registerNodes gives NodeIds back as they are: access to them needs no preparation.
func (q *query) registerNodes(req *ua.RegisterNodesRequest) {
	if code := q.countOK(len(req.NodesToRegister)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	q.reply(&ua.RegisterNodesResponse{ResponseHeader: q.header(), RegisteredNodeIDs: req.NodesToRegister})
}

func (q *query) unregisterNodes(req *ua.UnregisterNodesRequest) {
	if code := q.countOK(len(req.NodesToUnregister)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	q.reply(&ua.UnregisterNodesResponse{ResponseHeader: q.header()})
}
