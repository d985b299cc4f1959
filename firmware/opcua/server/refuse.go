package server

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// The bits of ReturnDiagnostics that ask for texts (OPC 10000-4 §7.32): of a service,
// and shifted by perOperation those of each of its operations.
const (
	wantsText       = 0x02
	wantsAdditional = 0x04

	perOperation = 5
)

// explain returns diagnostics with the reason, nil if the client did not ask for them.
func explain(h *ua.ResponseHeader, asked uint32, why string) *ua.DiagnosticInfo {
	if asked&(wantsText|wantsAdditional) == 0 {
		return nil
	}
	info := &ua.DiagnosticInfo{}
	if asked&wantsText != 0 {
		h.StringTable = []string{why}
		info.EncodingMask |= ua.DiagnosticInfoLocalizedText
	}
	if asked&wantsAdditional != 0 {
		info.EncodingMask |= ua.DiagnosticInfoAdditionalInfo
		info.AdditionalInfo = why
	}
	return info
}

// refuse refuses a request as a whole, with the reason if the client asked for it.
func (q *query) refuse(code ua.StatusCode, why string) {
	h := q.header()
	info := explain(h, q.head.ReturnDiagnostics, why)
	if info == nil {
		q.fault(code)
		return
	}
	q.countRefusal(code)
	h.ServiceResult, h.ServiceDiagnostics = code, info
	q.reply(&ua.ServiceFault{ResponseHeader: h})
}

// refuseOperations returns the code of each of n operations: what judge says is wrong with it,
// or, if it would have been valid, the code own. Those have the configured reason if the client
// asked for diagnostics.
func (q *query) refuseOperations(n int, own ua.StatusCode, judge func(i int) ua.StatusCode) (*ua.ResponseHeader,
	[]ua.StatusCode, []*ua.DiagnosticInfo) {
	h, codes, infos := q.header(), make([]ua.StatusCode, n), []*ua.DiagnosticInfo{}
	any := false
	for i := range codes {
		codes[i] = judge(i)
		any = any || codes[i] == own
	}
	if !any {
		return h, codes, infos
	}
	info := explain(h, q.head.ReturnDiagnostics>>perOperation, q.server.cfg.Refusal)
	if info == nil {
		return h, codes, infos
	}
	for _, code := range codes {
		if code == own {
			infos = append(infos, info)
		} else {
			infos = append(infos, &ua.DiagnosticInfo{}) // no diagnostics
		}
	}
	return h, codes, infos
}

// checkNode checks that a node exists and has an attribute.
func (s *Server) checkNode(n *ua.NodeID, attribute ua.AttributeID) (code ua.StatusCode) {
	node, err := rawvalue.FromUA(n)
	if err != nil {
		return ua.StatusBadNodeIDInvalid
	}
	s.cfg.Space.View(func(v addrspace.View) {
		var buf [64]byte
		ref, ok := v.Lookup(node)
		switch {
		case !ok:
			code = ua.StatusBadNodeIDUnknown
		case attribute == ua.AttributeIDValue && v.Class(ref) == ua.NodeClassVariable:
		default:
			if _, ok := v.AppendAttribute(buf[:0], ref, attribute); !ok {
				code = ua.StatusBadAttributeIDInvalid
			}
		}
	})
	return code
}

func (q *query) write(req *ua.WriteRequest) {
	if code := q.countOK(len(req.NodesToWrite)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	h, codes, infos := q.refuseOperations(len(req.NodesToWrite), ua.StatusBadNotWritable, func(i int) ua.StatusCode {
		w := req.NodesToWrite[i]
		code := q.server.checkNode(w.NodeID, w.AttributeID)
		part, err := rawvalue.ParseRange(w.IndexRange)
		switch {
		case code != ua.StatusOK:
			return code
		case err != nil || !part.Whole() && w.AttributeID != ua.AttributeIDValue:
			return ua.StatusBadIndexRangeInvalid
		}
		return ua.StatusBadNotWritable
	})
	q.reply(&ua.WriteResponse{ResponseHeader: h, Results: codes, DiagnosticInfos: infos})
}

// refuseHistoryRead answers HistoryRead where there is no historian.
func (q *query) refuseHistoryRead(req *ua.HistoryReadRequest) {
	if code := q.countOK(len(req.NodesToRead)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	switch {
	case req.HistoryReadDetails == nil || req.HistoryReadDetails.Value == nil:
		q.fault(ua.StatusBadHistoryOperationInvalid)
		return
	case req.TimestampsToReturn >= ua.TimestampsToReturnNeither: // Neither is not allowed here
		q.fault(ua.StatusBadTimestampsToReturnInvalid)
		return
	}
	h, codes, infos := q.refuseOperations(len(req.NodesToRead), ua.StatusBadHistoryOperationUnsupported,
		func(i int) ua.StatusCode {
			r := req.NodesToRead[i]
			code := q.server.checkNode(r.NodeID, ua.AttributeIDNodeID)
			_, err := rawvalue.ParseRange(r.IndexRange)
			encoding := uabinary.CheckDataEncoding(r.DataEncoding, ua.AttributeIDValue)
			switch {
			case code != ua.StatusOK:
				return code
			case encoding != ua.StatusOK:
				return encoding
			case err != nil:
				return ua.StatusBadIndexRangeInvalid
			case len(r.ContinuationPoint) > 0: // none is ever given
				return ua.StatusBadContinuationPointInvalid
			}
			return ua.StatusBadHistoryOperationUnsupported
		})
	resp := &ua.HistoryReadResponse{ResponseHeader: h, DiagnosticInfos: infos}
	for _, code := range codes {
		resp.Results = append(resp.Results,
			&ua.HistoryReadResult{StatusCode: code, HistoryData: ua.NewExtensionObject(nil)})
	}
	q.reply(resp)
}

func (q *query) historyUpdate(req *ua.HistoryUpdateRequest) {
	if code := q.countOK(len(req.HistoryUpdateDetails)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	h, codes, infos := q.refuseOperations(len(req.HistoryUpdateDetails), ua.StatusBadHistoryOperationUnsupported,
		func(i int) ua.StatusCode {
			node, ok := updatedNode(req.HistoryUpdateDetails[i])
			if !ok {
				return ua.StatusBadHistoryOperationInvalid
			}
			if code := q.server.checkNode(node, ua.AttributeIDNodeID); code != ua.StatusOK {
				return code
			}
			return ua.StatusBadHistoryOperationUnsupported
		})
	resp := &ua.HistoryUpdateResponse{ResponseHeader: h, DiagnosticInfos: infos}
	for _, code := range codes {
		resp.Results = append(resp.Results,
			&ua.HistoryUpdateResult{StatusCode: code, OperationResults: []ua.StatusCode{},
				DiagnosticInfos: []*ua.DiagnosticInfo{}})
	}
	q.reply(resp)
}

// updatedNode returns the node whose history is to be changed (OPC 10000-11 §6.9).
func updatedNode(details *ua.ExtensionObject) (node *ua.NodeID, ok bool) {
	if details == nil {
		return nil, false
	}
	switch d := details.Value.(type) {
	case *ua.UpdateDataDetails:
		return d.NodeID, true
	case *ua.UpdateStructureDataDetails:
		return d.NodeID, true
	case *ua.UpdateEventDetails:
		return d.NodeID, true
	case *ua.DeleteRawModifiedDetails:
		return d.NodeID, true
	case *ua.DeleteAtTimeDetails:
		return d.NodeID, true
	case *ua.DeleteEventDetails:
		return d.NodeID, true
	}
	return nil, false
}
