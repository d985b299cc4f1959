package server

import (
	"encoding/binary"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/uabinary"
)

// AppendAttribute appends the DataValue of an attribute as a client may read it, before
// timestamps and index range are applied. Monitored items sample it too.
func (s *Server) AppendAttribute(dst []byte, c *subscription.Client, node rawvalue.NodeID,
	attribute ua.AttributeID) []byte {
	s.cfg.Space.View(func(v addrspace.View) { dst = s.appendAttribute(dst, v, c, node, attribute) })
	return dst
}

func (s *Server) appendAttribute(dst []byte, v addrspace.View, c *subscription.Client, node rawvalue.NodeID,
	attribute ua.AttributeID) []byte {
	status := func(code ua.StatusCode) []byte { return rawvalue.AppendStatus(dst, code, rawvalue.Answer{}) }
	ref, ok := v.Lookup(node)
	if own, mine := s.ownAttribute(v, node, attribute); mine && (ok || node.Namespace == 0 && v.Len() == 0) {
		return append(dst, own...)
	}
	if !ok {
		return status(ua.StatusBadNodeIDUnknown)
	}
	if attribute < ua.AttributeIDNodeID || attribute > ua.AttributeIDAccessLevelEx {
		return status(ua.StatusBadAttributeIDInvalid)
	}
	if attribute == ua.AttributeIDValue && v.Class(ref) == ua.NodeClassVariable {
		if code := s.checkRestrictions(v, ref, c, false); code != ua.StatusOK {
			return status(code)
		}
		raw, known := s.values.get(node)
		if code := checkReadable(v, ref); code != ua.StatusOK && (!known || !isBad(raw)) {
			return status(code)
		}
		if !known {
			return status(ua.StatusCode(s.missingStatus.Load()))
		}
		return append(dst, raw...)
	}
	start := len(dst)
	if dst, ok = v.AppendAttribute(dst, ref, attribute); !ok {
		return status(ua.StatusBadAttributeIDInvalid)
	}
	// an attribute that does not exist is not restricted
	if attribute == ua.AttributeIDValue || attribute == ua.AttributeIDDataTypeDefinition {
		if code := s.checkRestrictions(v, ref, c, false); code != ua.StatusOK {
			dst = dst[:start]
			return status(code)
		}
	}
	return dst
}

// checkReadable checks whether the source lets a Value be read (OPC 10000-3 §8.57), at all and by
// the transmitter's user. Without AccessLevel it does.
func checkReadable(v addrspace.View, ref addrspace.Ref) ua.StatusCode {
	switch {
	case !currentRead(v, ref, ua.AttributeIDAccessLevel):
		return ua.StatusBadNotReadable
	case !currentRead(v, ref, ua.AttributeIDUserAccessLevel):
		return ua.StatusBadUserAccessDenied
	}
	return ua.StatusOK
}

func currentRead(v addrspace.View, ref addrspace.Ref, attribute ua.AttributeID) bool {
	var buf [64]byte
	raw, ok := v.AppendAttribute(buf[:0], ref, attribute)
	if !ok {
		return true
	}
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	return err != nil || dv.Value.Type() != ua.TypeIDByte || dv.Value.IsArray() ||
		ua.AccessLevelType(dv.Value.Raw[1])&ua.AccessLevelTypeCurrentRead != 0
}

// isBad reports whether a DataValue has a bad status.
func isBad(dataValue []byte) bool {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	return err == nil && dv.Status&0x8000_0000 != 0
}

// Shared returns a variable's DataValue as it was Set, nil where there is none or the client
// may not read it.
func (s *Server) Shared(c *subscription.Client, node rawvalue.NodeID) (raw []byte) {
	s.cfg.Space.View(func(v addrspace.View) {
		if ref, ok := v.Lookup(node); ok && s.checkRestrictions(v, ref, c, false) == ua.StatusOK &&
			checkReadable(v, ref) == ua.StatusOK {
			raw, _ = s.values.get(node)
		}
	})
	return raw
}

// Pushed reports whether changes of an attribute arrive through Set; others are sampled.
func (s *Server) Pushed(node rawvalue.NodeID, attribute ua.AttributeID) bool {
	if attribute != ua.AttributeIDValue {
		return false
	}
	own := false
	s.cfg.Space.View(func(v addrspace.View) { _, own = s.ownAttribute(v, node, attribute) })
	return !own
}

// EURange returns the value of a variable's EURange property, for a percent deadband.
func (s *Server) EURange(node rawvalue.NodeID) rawvalue.Variant {
	var found []rawvalue.NodeID
	s.cfg.Space.View(func(v addrspace.View) {
		found, _ = v.Translate(node, []addrspace.Element{{
			Type: rawvalue.NodeID{Number: id.HasProperty}, Subtypes: true,
			Name: rawvalue.QualifiedName{Name: []byte("EURange")},
		}}, 1)
	})
	if len(found) == 0 {
		return rawvalue.Variant{}
	}
	raw, _ := s.values.get(found[0])
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil {
		return rawvalue.Variant{}
	}
	return dv.Value
}

func (q *query) read(req *ua.ReadRequest) {
	switch n := len(req.NodesToRead); {
	case n == 0:
		q.fault(ua.StatusBadNothingToDo)
		return
	case n > q.server.cfg.Limits.Operations:
		q.fault(ua.StatusBadTooManyOperations)
		return
	case req.TimestampsToReturn > ua.TimestampsToReturnNeither:
		q.fault(ua.StatusBadTimestampsToReturnInvalid)
		return
	case !(req.MaxAge >= 0):
		q.fault(ua.StatusBadMaxAgeInvalid)
		return
	}
	a := q.newResponse(id.ReadResponse_Encoding_DefaultBinary)
	a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(len(req.NodesToRead)))
	how := rawvalue.Answer{Timestamps: req.TimestampsToReturn, ServerTime: uabinary.Ticks(q.server.cfg.Now())}
	for _, item := range req.NodesToRead {
		if a.scratch, a.buf = q.readOne(a.scratch[:0], a.buf, item, how); !a.flush() {
			return
		}
	}
	a.end()
}

// readOne appends one result; scratch is a buffer for the attribute.
func (q *query) readOne(scratch, b []byte, item *ua.ReadValueID, answer rawvalue.Answer) (_, _ []byte) {
	refuse := func(code ua.StatusCode) ([]byte, []byte) {
		return scratch, rawvalue.AppendStatus(b, code, rawvalue.Answer{Timestamps: ua.TimestampsToReturnNeither})
	}
	node, err := rawvalue.FromUA(item.NodeID)
	if err != nil {
		return refuse(ua.StatusBadNodeIDInvalid)
	}
	scratch = q.server.AppendAttribute(scratch, &q.client, node, item.AttributeID)
	dv, err := rawvalue.SkimDataValue(scratch, rawvalue.Limits{})
	if err != nil {
		return refuse(ua.StatusBadInternalError)
	}
	if dv.Status == ua.StatusBadNodeIDUnknown || dv.Status == ua.StatusBadAttributeIDInvalid {
		return refuse(dv.Status)
	}
	if code := uabinary.CheckDataEncoding(item.DataEncoding, item.AttributeID); code != ua.StatusOK {
		return refuse(code)
	}
	part, err := rawvalue.ParseRange(item.IndexRange)
	if err != nil || !part.Whole() && item.AttributeID != ua.AttributeIDValue {
		return refuse(ua.StatusBadIndexRangeInvalid)
	}
	if item.AttributeID != ua.AttributeIDValue { // has no source timestamp
		switch answer.Timestamps {
		case ua.TimestampsToReturnSource:
			answer.Timestamps = ua.TimestampsToReturnNeither
		case ua.TimestampsToReturnBoth:
			answer.Timestamps = ua.TimestampsToReturnServer
		}
	}
	if part.Whole() || dv.Value.IsNull() {
		return scratch, dv.Append(b, answer)
	}
	variant, err := part.Append(nil, dv.Value)
	if err != nil {
		return refuse(ua.StatusBadIndexRangeNoData)
	}
	return scratch, dv.AppendWith(b, answer, variant)
}
