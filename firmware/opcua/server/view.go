package server

import (
	"encoding/binary"

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

// browseState is a Browse of one node to be continued. Changes of other nodes do not affect
// its position.
type browseState struct {
	node       rawvalue.NodeID
	view       rawvalue.NodeID // null: the whole address space
	filter     addrspace.Filter
	mask       uint32
	limit      int
	offset     int
	generation uint64
	request    uint64 // the Browse or BrowseNext that made it
}

func (q *query) browse(req *ua.BrowseRequest) {
	n := len(req.NodesToBrowse)
	if code := q.countOK(n); code != ua.StatusOK {
		q.fault(code)
		return
	}
	view, code := q.server.resolveView(req.View)
	if code != ua.StatusOK {
		q.fault(code)
		return
	}
	most := q.server.cfg.Limits.References
	if r := req.RequestedMaxReferencesPerNode; r > 0 && r < uint32(most) {
		most = int(r)
	}
	a := q.newResponse(id.BrowseResponse_Encoding_DefaultBinary)
	a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(n))
	effort, request := 0, q.session.continuations.begin()
	for _, d := range req.NodesToBrowse {
		q.server.cfg.Space.View(func(v addrspace.View) { // one by one, so that the address space is not locked for long
			at, code := parseDescription(v, d)
			at.limit, at.view, at.request = most, view, request
			effort += degree(v, at.node)
			if effort <= maxEffort {
				a.buf = q.appendResult(a.buf, v, at, code)
			}
		})
		if effort > maxEffort {
			a.fail(ua.StatusBadTooManyOperations)
			return
		}
		if !a.flush() {
			return
		}
	}
	a.end()
}

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
	case n > q.server.cfg.Limits.Operations:
		return ua.StatusBadTooManyOperations
	}
	return ua.StatusOK
}

// parseDescription checks a BrowseDescription.
func parseDescription(v addrspace.View, d *ua.BrowseDescription) (browseState, ua.StatusCode) {
	at := browseState{mask: d.ResultMask, generation: v.Generation()}
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

// appendResult appends a BrowseResult.
func (q *query) appendResult(b []byte, v addrspace.View, at browseState, code ua.StatusCode) []byte {
	var found []addrspace.Found
	next := -1
	within := q.nodesInView(v, at.view)
	if code == ua.StatusOK {
		ref, ok := v.Lookup(at.node)
		if !ok {
			code = ua.StatusBadNodeIDUnknown
		} else if within != nil && !within[at.node] {
			code = ua.StatusBadNodeNotInView
		} else if code = q.server.checkRestrictions(v, ref, &q.client, true); code == ua.StatusOK {
			found, next = v.Browse(nil, ref, at.filter, at.offset, at.limit)
		}
	}
	var point []byte
	if next >= 0 {
		at.offset = next
		point = q.session.continuations.hold(at, at.request, q.server.cfg.Limits.ContinuationPoints)
		if point == nil {
			code, found = ua.StatusBadNoContinuationPoints, nil
		}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	if point == nil {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	} else {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(point))), point...)
	}
	count := len(b)
	b = append(b, 0, 0, 0, 0)
	n := uint32(0)
	for i := range found {
		f := &found[i]
		if within != nil && !within[f.Target] {
			continue
		}
		if !f.Exists || q.server.checkRestrictions(v, f.Node, &q.client, true) == ua.StatusOK {
			b = appendReference(b, v, f, at.mask)
			n++
		}
	}
	binary.LittleEndian.PutUint32(b[count:], n)
	return b
}

// appendReference appends a ReferenceDescription. The attributes of the target are those of the
// source, byte for byte.
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
	b = appendElement(b, v, f.Node, ua.AttributeIDBrowseName, exists && mask&maskBrowseName != 0,
		[]byte{0, 0, 0xff, 0xff, 0xff, 0xff})
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

// appendElement appends an attribute without its Variant header, or, if it is not wanted or
// missing, none.
func appendElement(b []byte, v addrspace.View, ref addrspace.Ref, a ua.AttributeID, wanted bool, none []byte) []byte {
	if wanted {
		var buf [256]byte
		if raw, ok := v.AppendAttribute(buf[:0], ref, a); ok {
			if dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err == nil && !dv.Value.IsNull() &&
				!dv.Value.IsArray() {
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
	a := q.newResponse(id.BrowseNextResponse_Encoding_DefaultBinary)
	a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(n))
	request := q.session.continuations.begin()
	for _, point := range req.ContinuationPoints { // at most as many as a session holds are valid
		at, ok := q.session.continuations.claim(point, func(browseState) bool { return true })
		at.request = request
		q.server.cfg.Space.View(func(v addrspace.View) {
			code := ua.StatusOK
			if !ok || at.generation != v.Generation() {
				code = ua.StatusBadContinuationPointInvalid
			}
			if req.ReleaseContinuationPoints {
				a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(code))
				a.buf = append(a.buf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0) // no point, nothing
			} else {
				a.buf = q.appendResult(a.buf, v, at, code)
			}
		})
		if !a.flush() {
			return
		}
	}
	a.end()
}

// registerNodes returns the NodeIds as they are, unknown ones too (OPC 10000-4 §5.9.5).
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
