package server

import (
	"encoding/binary"
	"math"
	"time"

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
	var took time.Duration // without what the client takes to receive
	for _, p := range req.BrowsePaths {
		if took > maxTranslate {
			a.fail(ua.StatusBadTooManyOperations)
			return
		}
		began := time.Now()
		q.server.cfg.Space.View(func(v addrspace.View) { a.buf = q.appendPath(a.buf, v, p) })
		took += time.Since(began)
		if !a.flush() {
			return
		}
	}
	a.end()
}

// appendPath appends the BrowsePathResult of a path.
func (q *query) appendPath(b []byte, v addrspace.View, p *ua.BrowsePath) []byte {
	targets, code := translatePath(v, p)
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

func translatePath(v addrspace.View, p *ua.BrowsePath) (targets []rawvalue.NodeID, code ua.StatusCode) {
	start, err := rawvalue.FromUA(p.StartingNode)
	if err != nil {
		return nil, ua.StatusBadNodeIDInvalid
	}
	if _, ok := v.Lookup(start); !ok {
		return nil, ua.StatusBadNodeIDUnknown
	}
	if p.RelativePath == nil || len(p.RelativePath.Elements) == 0 {
		return nil, ua.StatusBadNothingToDo
	}
	var path []addrspace.Element
	for i, e := range p.RelativePath.Elements {
		kind, err := rawvalue.FromUA(e.ReferenceTypeID)
		if err != nil {
			return nil, ua.StatusBadReferenceTypeIDInvalid
		}
		el := addrspace.Element{Type: kind, Inverse: e.IsInverse, Subtypes: e.IncludeSubtypes}
		if e.TargetName != nil && e.TargetName.Name != "" {
			el.Name = rawvalue.QualifiedName{Namespace: e.TargetName.NamespaceIndex, Name: []byte(e.TargetName.Name)}
		} else if i < len(p.RelativePath.Elements)-1 {
			return nil, ua.StatusBadBrowseNameInvalid
		}
		path = append(path, el)
	}
	return v.Translate(start, path, maxTargets)
}
