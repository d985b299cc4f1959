package server

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// The bits of ReturnDiagnostics that ask for texts (OPC 10000-4 §7.32): of a service,
// and shifted by perOperation those of each of its operations.
const (
	wantsText       = 0x02
	wantsAdditional = 0x04

	perOperation = 5
)

// reason says why nothing can be changed, as far as a client asked; nil: it did not.
func (q *query) reason(h *ua.ResponseHeader, asked uint32) *ua.DiagnosticInfo {
	if asked&(wantsText|wantsAdditional) == 0 {
		return nil
	}
	info := &ua.DiagnosticInfo{}
	if asked&wantsText != 0 {
		h.StringTable = []string{q.s.cfg.Refusal}
		info.EncodingMask |= ua.DiagnosticInfoLocalizedText
	}
	if asked&wantsAdditional != 0 {
		info.EncodingMask |= ua.DiagnosticInfoAdditionalInfo
		info.AdditionalInfo = q.s.cfg.Refusal
	}
	return info
}

// refuse answers a request that is refused as a whole.
func (q *query) refuse(code ua.StatusCode) {
	q.s.refused.Add(1)
	h := q.header()
	h.ServiceResult = code
	if info := q.reason(h, q.head.ReturnDiagnostics); info != nil {
		h.ServiceDiagnostics = info
	}
	q.reply(&ua.ServiceFault{ResponseHeader: h})
}

// refusals answers n operations with one code, and with the reason where the client
// asked for diagnostics.
func (q *query) refusals(n int, code ua.StatusCode) (*ua.ResponseHeader, []ua.StatusCode, []*ua.DiagnosticInfo) {
	h, codes, infos := q.header(), make([]ua.StatusCode, n), []*ua.DiagnosticInfo{}
	for i := range codes {
		codes[i] = code
	}
	info := q.reason(h, q.head.ReturnDiagnostics>>perOperation)
	if info == nil {
		return h, codes, infos
	}
	for range n {
		infos = append(infos, info)
	}
	return h, codes, infos
}

func (q *query) write(req *ua.WriteRequest) {
	if code := q.countOK(len(req.NodesToWrite)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	h, codes, infos := q.refusals(len(req.NodesToWrite), ua.StatusBadNotWritable)
	q.reply(&ua.WriteResponse{ResponseHeader: h, Results: codes, DiagnosticInfos: infos})
}

func (q *query) historyRead(req *ua.HistoryReadRequest) {
	if code := q.countOK(len(req.NodesToRead)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	h, codes, infos := q.refusals(len(req.NodesToRead), ua.StatusBadHistoryOperationUnsupported)
	resp := &ua.HistoryReadResponse{ResponseHeader: h, DiagnosticInfos: infos}
	for _, code := range codes {
		resp.Results = append(resp.Results, &ua.HistoryReadResult{StatusCode: code, HistoryData: ua.NewExtensionObject(nil)})
	}
	q.reply(resp)
}

func (q *query) historyUpdate(req *ua.HistoryUpdateRequest) {
	if code := q.countOK(len(req.HistoryUpdateDetails)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	h, codes, infos := q.refusals(len(req.HistoryUpdateDetails), ua.StatusBadHistoryOperationUnsupported)
	resp := &ua.HistoryUpdateResponse{ResponseHeader: h, DiagnosticInfos: infos}
	for _, code := range codes {
		resp.Results = append(resp.Results, &ua.HistoryUpdateResult{StatusCode: code, OperationResults: []ua.StatusCode{}, DiagnosticInfos: []*ua.DiagnosticInfo{}})
	}
	q.reply(resp)
}

// callMethods lets through what is about the caller's own subscriptions. A request
// that holds such a call is the subscriptions' as a whole; they refuse the rest of it.
func (q *query) callMethods(req *ua.CallRequest) {
	if code := q.countOK(len(req.MethodsToCall)); code != ua.StatusOK {
		q.fault(code)
		return
	}
	for _, m := range req.MethodsToCall {
		if m.MethodID != nil && m.MethodID.Namespace() == 0 {
			switch m.MethodID.IntID() {
			case id.ConditionType_ConditionRefresh, id.ConditionType_ConditionRefresh2, id.Server_GetMonitoredItems, id.Server_ResendData:
				q.s.engine.Serve(&q.client, req, q.respond)
				return
			}
		}
	}
	h, codes, infos := q.refusals(len(req.MethodsToCall), ua.StatusBadNotExecutable)
	resp := &ua.CallResponse{ResponseHeader: h, DiagnosticInfos: infos}
	for _, code := range codes {
		resp.Results = append(resp.Results, &ua.CallMethodResult{
			StatusCode: code, InputArgumentResults: []ua.StatusCode{}, InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{}, OutputArguments: []*ua.Variant{},
		})
	}
	q.reply(resp)
}
