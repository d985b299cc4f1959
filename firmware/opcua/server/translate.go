package server

import (
	"encoding/binary"
	"math"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func (q *query) translate(req *ua.TranslateBrowsePathsToNodeIDsRequest) {
	n := len(req.BrowsePaths)
	if code := q.countOK(n); code != ua.StatusOK {
		q.fault(code)
		return
	}
	a := q.newResponse(id.TranslateBrowsePathsToNodeIDsResponse_Encoding_DefaultBinary)
	a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(n))
	effort := 0
	for _, p := range req.BrowsePaths {
		if effort > q.server.cfg.Limits.Translated {
			a.fail(ua.StatusBadTooManyOperations)
			return
		}
		q.server.cfg.Space.View(func(v addrspace.View) { // one by one, as Browse
			targets, examined, code := translatePath(v, p)
			effort += examined
			a.buf = q.appendTargets(a.buf, v, targets, code)
		})
		if !a.flush() {
			return
		}
	}
	a.end()
}

// appendTargets appends the BrowsePathResult of a path.
func (q *query) appendTargets(b []byte, v addrspace.View, targets []rawvalue.NodeID, code ua.StatusCode) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	count := len(b)
	b = append(b, 0, 0, 0, 0)
	n := uint32(0)
	for _, t := range targets {
		if ref, ok := v.Lookup(t); ok && q.server.checkRestrictions(v, ref, &q.client, true) != ua.StatusOK {
			continue
		}
		b = binary.LittleEndian.AppendUint32(t.AppendTo(b), math.MaxUint32) // RemainingPathIndex
		n++
	}
	binary.LittleEndian.PutUint32(b[count:], n)
	return b
}

// translatePath follows a path, and returns how many references it examined.
func translatePath(v addrspace.View, p *ua.BrowsePath) (targets []rawvalue.NodeID, examined int, code ua.StatusCode) {
	start, err := rawvalue.FromUA(p.StartingNode)
	if err != nil {
		return nil, 0, ua.StatusBadNodeIDInvalid
	}
	if _, ok := v.Lookup(start); !ok {
		return nil, 0, ua.StatusBadNodeIDUnknown
	}
	if p.RelativePath == nil || len(p.RelativePath.Elements) == 0 {
		return nil, 0, ua.StatusBadNothingToDo
	}
	var path []addrspace.Element
	for i, e := range p.RelativePath.Elements {
		kind, err := rawvalue.FromUA(e.ReferenceTypeID)
		if err != nil {
			return nil, 0, ua.StatusBadReferenceTypeIDInvalid
		}
		el := addrspace.Element{Type: kind, Inverse: e.IsInverse, Subtypes: e.IncludeSubtypes}
		if e.TargetName != nil && e.TargetName.Name != "" {
			el.Name = rawvalue.QualifiedName{Namespace: e.TargetName.NamespaceIndex, Name: []byte(e.TargetName.Name)}
		} else if i < len(p.RelativePath.Elements)-1 {
			return nil, 0, ua.StatusBadBrowseNameInvalid
		}
		path = append(path, el)
	}
	return v.TranslateCounted(start, path, maxTargets)
}
