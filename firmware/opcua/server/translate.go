package server

import (
	"math"
	"time"

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
	resp := &ua.TranslateBrowsePathsToNodeIDsResponse{ResponseHeader: q.header(),
		DiagnosticInfos: []*ua.DiagnosticInfo{}}
	began := time.Now()
	for _, p := range req.BrowsePaths {
		if time.Since(began) > maxTranslate {
			q.fault(ua.StatusBadTooManyOperations)
			return
		}
		q.server.cfg.Space.View(func(v addrspace.View) { resp.Results = append(resp.Results, q.translateOne(v, p)) })
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
		if ref, ok := v.Lookup(t); ok && q.server.checkRestrictions(v, ref, &q.client, true) != ua.StatusOK {
			continue
		}
		result.Targets = append(result.Targets,
			&ua.BrowsePathTarget{TargetID: ua.NewExpandedNodeID(t.UA(), "", 0), RemainingPathIndex: math.MaxUint32})
	}
	return result
}
