package server

import (
	"github.com/gopcua/opcua/ua"
)

// The bits of ReturnDiagnostics that ask for texts (OPC 10000-4 §7.32): of a service,
// and shifted by perOperation those of each of its operations.
const (
	wantsText       = 0x02
	wantsAdditional = 0x04

	perOperation = 5
)

// explain says why something is refused, as far as a client asked; nil: it did not.
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

// refuse answers a request that is refused as a whole.
func (q *query) refuse(code ua.StatusCode, why string) {
	h := q.header()
	info := explain(h, q.head.ReturnDiagnostics, why)
	if info == nil {
		q.fault(code)
		return
	}
	q.s.refused.Add(1)
	h.ServiceResult, h.ServiceDiagnostics = code, info
	q.reply(&ua.ServiceFault{ResponseHeader: h})
}

// refusals answers n operations with one code, and with the reason where the client
// asked for diagnostics.
func (q *query) refusals(n int, code ua.StatusCode) (*ua.ResponseHeader, []ua.StatusCode, []*ua.DiagnosticInfo) {
	h, codes, infos := q.header(), make([]ua.StatusCode, n), []*ua.DiagnosticInfo{}
	for i := range codes {
		codes[i] = code
	}
	info := explain(h, q.head.ReturnDiagnostics>>perOperation, q.s.cfg.Refusal)
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

// maxMethods bounds the calls in one request: each may send a lot.
const maxMethods = 100

// callMethods lets through what is about the caller's own subscriptions.
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
	h, _, infos := q.refusals(n, ua.StatusBadNotExecutable)
	resp := &ua.CallResponse{ResponseHeader: h, Results: make([]*ua.CallMethodResult, n), DiagnosticInfos: infos}
	for i, m := range req.MethodsToCall {
		r, ours := q.s.engine.Method(&q.client, m)
		switch {
		case !ours:
			r = &ua.CallMethodResult{
				StatusCode: ua.StatusBadNotExecutable, InputArgumentResults: []ua.StatusCode{}, InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{},
				OutputArguments: []*ua.Variant{},
			}
		case len(infos) > 0: // there is nothing to say of it
			infos[i] = &ua.DiagnosticInfo{}
		}
		resp.Results[i] = r
	}
	q.reply(resp)
}
