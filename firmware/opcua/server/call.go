package server

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// callMethods answers Call: methods about the caller's own subscriptions are served, those
// that could be called at the source are refused.
func (q *query) callMethods(req *ua.CallRequest) {
	n := len(req.MethodsToCall)
	if code := q.countOK(n); code != ua.StatusOK {
		q.fault(code)
		return
	}
	if n > maxMethods {
		q.fault(ua.StatusBadTooManyOperations)
		return
	}
	ids := 0 // that GetMonitoredItems has returned
	resp := &ua.CallResponse{Results: make([]*ua.CallMethodResult, n)}
	resp.ResponseHeader, _, resp.DiagnosticInfos = q.refuseOperations(n, ua.StatusBadNotExecutable,
		func(i int) ua.StatusCode {
			resp.Results[i] = q.callMethod(req.MethodsToCall[i], &ids)
			return resp.Results[i].StatusCode
		})
	q.reply(resp)
}

// callMethod answers one call; Bad_NotExecutable means that it would have been valid. ids counts
// what the calls of a request return.
func (q *query) callMethod(m *ua.CallMethodRequest, ids *int) *ua.CallMethodResult {
	r := &ua.CallMethodResult{InputArgumentResults: []ua.StatusCode{},
		InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{}, OutputArguments: []*ua.Variant{}}
	var method rawvalue.NodeID
	if method, r.StatusCode = q.server.resolveMethod(m); r.StatusCode != ua.StatusOK {
		return r
	}
	if *ids > maxItemIDs && method == (rawvalue.NodeID{Number: id.Server_GetMonitoredItems}) {
		r.StatusCode = ua.StatusBadTooManyOperations
		return r
	}
	if own, ours := q.server.engine.Method(&q.client, m); ours {
		if len(own.OutputArguments) > 0 { // of GetMonitoredItems: the servers' ids, and as many of the clients'
			*ids += int(own.OutputArguments[0].ArrayLength())
		}
		return own
	}
	if results, code := q.server.checkArguments(method, m.InputArguments); code != ua.StatusOK {
		r.InputArgumentResults, r.StatusCode = results, code
		return r
	}
	r.StatusCode = ua.StatusBadNotExecutable
	return r
}

// resolveMethod finds the method to call (OPC 10000-4 §5.12.2): of the object itself, or of its
// type. ConditionRefresh is served even if the source has no ConditionType node: its NodeId is
// well known.
func (s *Server) resolveMethod(m *ua.CallMethodRequest) (method rawvalue.NodeID, code ua.StatusCode) {
	object, err := rawvalue.FromUA(m.ObjectID)
	if err != nil {
		return method, ua.StatusBadNodeIDInvalid
	}
	if method, err = rawvalue.FromUA(m.MethodID); err != nil {
		return method, ua.StatusBadMethodInvalid
	}
	s.cfg.Space.View(func(v addrspace.View) {
		o, known := v.Lookup(object)
		ref, exists := v.Lookup(method)
		refresh := method.Namespace == 0 && method.Kind == rawvalue.Numeric &&
			(method.Number == id.ConditionType_ConditionRefresh || method.Number == id.ConditionType_ConditionRefresh2)
		switch {
		case refresh && !exists && object == rawvalue.NodeID{Number: id.ConditionType}:
		case !known:
			code = ua.StatusBadNodeIDUnknown
		case !exists || v.Class(ref) != ua.NodeClassMethod || !hasMethod(v, o, method):
			code = ua.StatusBadMethodInvalid
		}
	})
	return method, code
}

// hasMethod reports whether a method can be called on an object, or on an ObjectType.
func hasMethod(v addrspace.View, object addrspace.Ref, method rawvalue.NodeID) bool {
	if isComponent(v, object, method) {
		return true
	}
	var next []rawvalue.NodeID
	supertype := addrspace.Filter{Type: rawvalue.NodeID{Number: id.HasSubtype}, Direction: ua.BrowseDirectionInverse}
	above := func(ref addrspace.Ref, f addrspace.Filter) {
		found, _ := v.Browse(nil, ref, f, 0, maxTypes)
		for i := range found {
			next = append(next, found[i].Target)
		}
	}
	interfaces := addrspace.Filter{Type: rawvalue.NodeID{Number: id.HasInterface}, Subtypes: true}
	switch v.Class(object) {
	case ua.NodeClassObject:
		next = append(next, v.TypeDefinition(object))
		above(object, interfaces)
	case ua.NodeClassObjectType:
		above(object, supertype)
	}
	for i := 0; i < len(next) && i < maxTypes; i++ {
		kind, ok := v.Lookup(next[i])
		if !ok {
			continue
		}
		if isComponent(v, kind, method) {
			return true
		}
		above(kind, supertype)
		above(kind, interfaces)
	}
	return false
}

func isComponent(v addrspace.View, node addrspace.Ref, method rawvalue.NodeID) bool {
	found, _ := v.Browse(nil, node,
		addrspace.Filter{Type: rawvalue.NodeID{Number: id.HasComponent}, Subtypes: true,
			Classes: uint32(ua.NodeClassMethod)}, 0, 0)
	for i := range found {
		if found[i].Target == method {
			return true
		}
	}
	return false
}

// checkArguments compares the arguments with the method's InputArguments. Where those are
// unknown, or too large to be decoded for each call, all arguments pass.
func (s *Server) checkArguments(method rawvalue.NodeID, sent []*ua.Variant) (results []ua.StatusCode,
	code ua.StatusCode) {
	s.cfg.Space.View(func(v addrspace.View) {
		wanted, known := s.inputArguments(v, method)
		switch {
		case !known:
			return
		case len(sent) < len(wanted):
			code = ua.StatusBadArgumentsMissing
			return
		case len(sent) > len(wanted):
			code = ua.StatusBadTooManyArguments
			return
		}
		results = make([]ua.StatusCode, len(sent))
		for i, a := range wanted {
			if !acceptsArgument(v, a, sent[i]) {
				results[i], code = ua.StatusBadTypeMismatch, ua.StatusBadInvalidArgument
			}
		}
	})
	if results == nil || code == ua.StatusOK {
		results = []ua.StatusCode{}
	}
	return results, code
}

// inputArguments reads a method's property; a method without it has no arguments.
func (s *Server) inputArguments(v addrspace.View, method rawvalue.NodeID) (list []argument, known bool) {
	found, _ := v.Translate(method, []addrspace.Element{{
		Type: rawvalue.NodeID{Number: id.HasProperty}, Subtypes: true,
		Name: rawvalue.QualifiedName{Name: []byte("InputArguments")},
	}}, 1)
	if len(found) == 0 {
		return nil, true
	}
	raw, _ := s.values.get(found[0])
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || len(raw) > maxArguments || dv.Value.Type() != ua.TypeIDExtensionObject || !dv.Value.IsArray() {
		return nil, false
	}
	for _, raw := range dv.Value.Each() {
		a, ok := parseArgument(raw)
		if !ok {
			return nil, false
		}
		list = append(list, a)
	}
	return list, true
}

// argument is what of an Argument decides which values pass.
type argument struct {
	dataType rawvalue.NodeID
	rank     int32
}

// parseArgument reads an Argument (OPC 10000-3 §8.6). The library's decoder would allocate what the
// source claims as the length of an array.
func parseArgument(object []byte) (a argument, ok bool) {
	c := rawvalue.NewCursor(object, rawvalue.Limits{})
	o := c.ExtensionObject()
	kind, err := rawvalue.ParseNodeID(o.TypeID)
	if err != nil || kind != (rawvalue.NodeID{Number: id.Argument_Encoding_DefaultBinary}) ||
		o.Encoding != ua.ExtensionObjectBinary {
		return a, false
	}
	c = rawvalue.NewCursor(o.Body, rawvalue.Limits{})
	c.Bytes() // Name
	dataType := c.NodeID()
	a.rank = int32(c.Uint32())
	const dimension = 4                             // bytes
	c.Skip(dimension * max(0, c.Length(dimension))) // ArrayDimensions
	c.LocalizedText()                               // Description
	if c.Err() != nil {
		return a, false
	}
	a.dataType, err = rawvalue.ParseNodeID(dataType)
	return a, err == nil
}

// acceptsArgument compares a value with an argument: its rank, and its built-in type, which
// must be the argument's DataType, a supertype or a subtype of it. A value passes where the
// address space lacks the types.
func acceptsArgument(v addrspace.View, a argument, value *ua.Variant) bool {
	if value == nil || value.Type() == ua.TypeIDNull {
		return true
	}
	array := value.Has(ua.VariantArrayValues)
	if a.rank == -1 && array || a.rank >= 0 && !array {
		return false
	}
	wanted, sent := a.dataType, rawvalue.NodeID{Number: uint32(value.Type())}
	if wanted == (rawvalue.NodeID{Number: id.BaseDataType}) || wanted == sent {
		return true
	}
	_, known := v.Lookup(wanted)
	_, also := v.Lookup(sent)
	if !known || !also {
		return true
	}
	enumeration := sent.Number == uint32(ua.TypeIDInt32) && v.IsSubtype(wanted, rawvalue.NodeID{Number: id.Enumeration})
	return enumeration || v.IsSubtype(wanted, sent) || v.IsSubtype(sent, wanted)
}
