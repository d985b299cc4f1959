package server

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
)

// ten keeps ten values of a node, a second apart.
func (k *keeper) ten(t testing.TB, node rawvalue.NodeID) {
	for i := range 10 {
		k.keep(t, node, second(i), float64(i), ua.StatusOK)
	}
}

func TestRawHistoryIsRead(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	tag := named("taga0")
	k.ten(t, tag)
	k.keep(t, tag, second(10), nil, ua.StatusBadDataLost)
	for name, tc := range map[string]struct {
		details ua.ReadRawModifiedDetails
		code    ua.StatusCode
		want    string
		more    bool
	}{
		"forward": {ua.ReadRawModifiedDetails{StartTime: second(2), EndTime: second(5)}, ua.StatusOK, "2 3 4",
			false},
		"backward": {ua.ReadRawModifiedDetails{StartTime: second(5), EndTime: second(2)}, ua.StatusOK, "5 4 3",
			false},
		"with bound": {ua.ReadRawModifiedDetails{StartTime: second(2), EndTime: second(5), ReturnBounds: true},
			ua.StatusOK, "2 3 4 5", false},
		"no bound": {ua.ReadRawModifiedDetails{StartTime: second(-1), EndTime: second(1), ReturnBounds: true},
			ua.StatusOK,
			"0x80D70000 0 1", false},
		"limited": {ua.ReadRawModifiedDetails{StartTime: second(2), EndTime: second(7), NumValuesPerNode: 2},
			ua.StatusOK, "2 3", true},
		"from a time": {ua.ReadRawModifiedDetails{StartTime: second(7), NumValuesPerNode: 2}, ua.StatusOK, "7 8",
			false},
		"to a time": {ua.ReadRawModifiedDetails{EndTime: second(7), NumValuesPerNode: 2}, ua.StatusOK, "7 6", false},
		"a hole": {ua.ReadRawModifiedDetails{StartTime: second(9), EndTime: second(11)}, ua.StatusOK,
			"9 0x809D0000", false},
		"before all": {ua.ReadRawModifiedDetails{StartTime: second(-9), EndTime: second(-1)}, ua.StatusGoodNoData,
			"", false},
		"one time alone": {ua.ReadRawModifiedDetails{StartTime: second(7)}, ua.StatusBadHistoryOperationInvalid, "",
			false},
		"no time": {ua.ReadRawModifiedDetails{NumValuesPerNode: 7}, ua.StatusBadHistoryOperationInvalid, "",
			false},
	} {
		t.Run(name, func(t *testing.T) {
			r := readHistory(t, c, rawOf(token, tc.details, tag))[0]
			if r.StatusCode != tc.code || len(r.ContinuationPoint) > 0 != tc.more {
				t.Fatalf("got %v, continuation point %x; want %v, more %v", r.StatusCode, r.ContinuationPoint,
					tc.code, tc.more)
			}
			if r.StatusCode&0x80000000 == 0 {
				if got := numbers(valuesOf(t, r)); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

// TestHistoryToTheEndOfTime: clients ask for all that there is by times that nanoseconds since
// 1970 cannot hold.
func TestHistoryToTheEndOfTime(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.ten(t, named("taga0"))
	body, err := channel.Encode(rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(8), EndTime: second(10)},
		named("taga0")))
	if err != nil {
		t.Fatal(err)
	}
	end := uabinaryTicks(second(10))
	maxValue := bytes.Replace(body, end, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 1)
	raw, err := c.Do(t.Context(), maxValue)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := channel.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	r := resp.(*ua.HistoryReadResponse).Results[0]
	if got := numbers(valuesOf(t, r)); got != "8 9" {
		t.Errorf("got %v, %s; want 8 9", r.StatusCode, got)
	}
}

func TestTimestampsOfHistory(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.keep(t, named("taga0"), second(1), 1.0, ua.StatusOK)
	k.values[named("tagb0")] = []kept{{second(1), dataValue(t, 1.0)}} // without a source timestamp
	for _, tag := range []rawvalue.NodeID{named("taga0"), named("tagb0")} {
		for stamps, want := range map[ua.TimestampsToReturn]byte{
			ua.TimestampsToReturnSource: ua.DataValueSourceTimestamp,
			ua.TimestampsToReturnServer: ua.DataValueServerTimestamp,
			ua.TimestampsToReturnBoth:   ua.DataValueSourceTimestamp | ua.DataValueServerTimestamp,
		} {
			req := rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(2)}, tag)
			req.TimestampsToReturn = stamps
			dv := valuesOf(t, readHistory(t, c, req)[0])[0]
			if dv.EncodingMask != want|ua.DataValueValue || want&ua.DataValueSourceTimestamp != 0 &&
				!dv.SourceTimestamp.Equal(second(1)) ||
				want&ua.DataValueServerTimestamp != 0 && !dv.ServerTimestamp.Equal(second(1)) {
				t.Errorf("%v of %v: got %+v, want mask %x and the time of the source", stamps, tag, dv, want)
			}
		}
	}
}

func TestARangeOfHistoricalArrays(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.keep(t, named("tagb0"), second(1), []float64{1, 2, 3}, ua.StatusOK)
	k.keep(t, named("tagb0"), second(2), []float64{1}, ua.StatusOK)
	req := rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(3)}, named("tagb0"))
	req.NodesToRead[0].IndexRange = "1:2"
	got := valuesOf(t, readHistory(t, c, req)[0])
	if len(got) != 2 || !slices.Equal(got[0].Value.Value().([]float64), []float64{2, 3}) ||
		got[1].Status != ua.StatusBadIndexRangeNoData || !got[1].SourceTimestamp.Equal(second(2)) {
		t.Errorf("got %+v, want two elements, and Bad_IndexRangeNoData", got)
	}
}

func TestModifiedValuesAreNone(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.ten(t, named("taga0"))
	details := ua.ReadRawModifiedDetails{IsReadModified: true, StartTime: second(0), EndTime: second(9)}
	r := readHistory(t, c, rawOf(token, details, named("taga0")))[0]
	d, ok := r.HistoryData.Value.(*ua.HistoryModifiedData)
	if r.StatusCode != ua.StatusGoodNoData || !ok || len(d.DataValues)+len(d.ModificationInfos) > 0 {
		t.Errorf("got %v, %+v; want Good_NoData and no values", r.StatusCode, r.HistoryData.Value)
	}
	details.ReturnBounds = true
	if r = readHistory(t, c, rawOf(token, details, named("taga0")))[0]; r.StatusCode != ua.StatusBadInvalidArgument {
		t.Errorf("with bounds: got %v, want Bad_InvalidArgument", r.StatusCode)
	}
}

// continued reads on with continuation points until there is none, and returns the values of
// each response.
func continued(t testing.TB, c *channel.Client, req *ua.HistoryReadRequest) (parts []string) {
	t.Helper()
	for {
		r := readHistory(t, c, req)[0]
		if r.StatusCode != ua.StatusOK || len(parts) > 100 {
			t.Fatalf("part %d: %v", len(parts), r.StatusCode)
		}
		parts = append(parts, numbers(valuesOf(t, r)))
		if r.ContinuationPoint == nil {
			return parts
		}
		req.NodesToRead[0].ContinuationPoint = r.ContinuationPoint
	}
}

func TestContinuationPointsOfHistory(t *testing.T) {
	k, s, url := historic(t, func(c *Config) { c.Limits.HistoryPoints = 3 })
	c, token := newSession(t, url)
	tag, other := named("taga0"), named("tagb0")
	k.ten(t, tag)
	k.ten(t, other)
	details := ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(20), NumValuesPerNode: 4}
	first := func(nodes ...rawvalue.NodeID) []*ua.HistoryReadResult {
		return readHistory(t, c, rawOf(token, details, nodes...))
	}
	on := func(node rawvalue.NodeID, point []byte, release bool) *ua.HistoryReadResult {
		req := rawOf(token, details, node)
		req.NodesToRead[0].ContinuationPoint, req.ReleaseContinuationPoints = point, release
		return readHistory(t, c, req)[0]
	}
	invalid := func(what string, r *ua.HistoryReadResult) {
		t.Helper()
		if r.StatusCode != ua.StatusBadContinuationPointInvalid {
			t.Errorf("%s: got %v, want Bad_ContinuationPointInvalid", what, r.StatusCode)
		}
	}
	if got := continued(t, c, rawOf(token, details, tag)); !slices.Equal(got, []string{"0 1 2 3", "4 5 6 7", "8 9"}) {
		t.Errorf("got %q", got)
	}
	// other parameters are ignored: those of the first request count (OPC 10000-11 §6.3)
	point := first(tag)[0].ContinuationPoint
	req := rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(7), EndTime: second(8)}, tag)
	req.NodesToRead[0].ContinuationPoint = point
	if got := numbers(valuesOf(t, readHistory(t, c, req)[0])); got != "4 5 6 7" {
		t.Errorf("with other details: got %s, want 4 5 6 7", got)
	}
	invalid("used twice", on(tag, point, false))
	point = first(tag)[0].ContinuationPoint
	invalid("of another node", on(other, point, false))
	if r := on(tag, point, true); r.StatusCode != ua.StatusOK || r.HistoryData.Value != nil {
		t.Errorf("released: got %v with %v, want Good without data", r.StatusCode, r.HistoryData.Value)
	}
	invalid("released", on(tag, point, false))
	invalid("released twice", on(tag, point, true))
	point = first(tag)[0].ContinuationPoint
	d, token2 := newSession(t, url)
	req = rawOf(token2, details, tag)
	req.NodesToRead[0].ContinuationPoint = point
	invalid("of another session", readHistory(t, d, req)[0])

	results := first(tag, other, tag, other)
	for i, want := range []ua.StatusCode{ua.StatusOK, ua.StatusOK, ua.StatusOK, ua.StatusBadNoContinuationPoints} {
		if results[i].StatusCode != want {
			t.Errorf("operation %d of one request: got %v, want %v", i, results[i].StatusCode, want)
		}
	}
	invalid("that earlier requests hold", on(tag, point, false))
	s.Set(tag, dataValue(t, 1.0)) // a busy server
	if got := numbers(valuesOf(t, on(tag, results[0].ContinuationPoint, false))); got != "4 5 6 7" {
		t.Errorf("got %s, want 4 5 6 7", got)
	}
}

// TestABigRangeIsAnsweredInParts: no request returns more values than are announced.
func TestABigRangeIsAnsweredInParts(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	const n = 2*maxHistoryValues + 5
	for i := range n {
		k.values = map[rawvalue.NodeID][]kept{named("taga0"): append(k.values[named("taga0")], kept{second(i),
			dataValue(t, float64(i%10))})}
	}
	req := rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(n)}, named("taga0"))
	var sizes []int
	for {
		k.scanned = 0
		r := readHistory(t, c, req)[0]
		sizes = append(sizes, len(valuesOf(t, r)))
		if k.scanned > maxHistoryValues+2 {
			t.Errorf("%d values were read for one response", k.scanned)
		}
		if req.NodesToRead[0].ContinuationPoint = r.ContinuationPoint; r.ContinuationPoint == nil {
			break
		}
	}
	if !slices.Equal(sizes, []int{maxHistoryValues, maxHistoryValues, 5}) {
		t.Errorf("got responses of %v values", sizes)
	}
}

// TestLargeValuesShareAResponse: with many nodes each gets a part of the bytes, and those for
// which none are left continue later.
func TestLargeValuesShareAResponse(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	large := make([]byte, maxHistoryBytes/2)
	for _, tag := range []string{"taga0", "tagb0", "tagc0"} {
		for i := range 2 {
			k.keep(t, named(tag), second(i), large, ua.StatusOK)
		}
	}
	req := rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(9)}, named("taga0"),
		named("tagb0"), named("tagc0"))
	got := map[string]int{}
	for requests := 0; len(req.NodesToRead) > 0; requests++ {
		total := 0
		next := *req
		next.NodesToRead = nil
		for i, r := range readHistory(t, c, req) {
			if r.StatusCode != ua.StatusOK {
				t.Fatal(r.StatusCode)
			}
			n := len(valuesOf(t, r))
			total += n
			got[req.NodesToRead[i].NodeID.String()] += n
			if r.ContinuationPoint != nil {
				again := *req.NodesToRead[i]
				again.ContinuationPoint = r.ContinuationPoint
				next.NodesToRead = append(next.NodesToRead, &again)
			}
		}
		if total > 2 || total == 0 || requests > 6 {
			t.Fatalf("request %d: %d values", requests, total)
		}
		*req = next
	}
	if len(got) != 3 || got["ns=1;s=taga0"] != 2 || got["ns=1;s=tagb0"] != 2 || got["ns=1;s=tagc0"] != 2 {
		t.Errorf("got %v, want two values of each", got)
	}
}

func TestHistoryOfANodeThatMayNotBeRead(t *testing.T) {
	k, s, url := historic(t, nil)
	c, token := newSession(t, url)
	tag := named("taga0")
	k.ten(t, tag)
	details := ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(20)}
	for name, tc := range map[string]struct {
		level, user byte
		restriction uint16
		want        ua.StatusCode
	}{
		"kept":                 {5, 5, 0, ua.StatusOK},
		"not kept":             {1, 1, 0, ua.StatusBadHistoryOperationUnsupported},
		"not for this user":    {5, 1, 0, ua.StatusBadUserAccessDenied},
		"value not readable":   {5, 4, 0, ua.StatusBadUserAccessDenied},
		"over this channel":    {5, 5, encryptionRequired, ua.StatusBadSecurityModeInsufficient},
		"not kept, restricted": {1, 1, encryptionRequired, ua.StatusBadHistoryOperationUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			setByte(t, s.cfg.Space, tag, tc.level, ua.AttributeIDAccessLevel)
			setByte(t, s.cfg.Space, tag, tc.user, ua.AttributeIDUserAccessLevel)
			_, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.SetAttributes, Node: addrspace.Node{ID: tag,
				Attributes: []addrspace.Attribute{{ID: ua.AttributeIDAccessRestrictions, Value: dataValue(t,
					tc.restriction)}}}}})
			if err != nil {
				t.Fatal(err)
			}
			if r := readHistory(t, c, rawOf(token, details, tag))[0]; r.StatusCode != tc.want {
				t.Errorf("got %v, want %v", r.StatusCode, tc.want)
			}
		})
	}
}

// TestChecksOfHistoryReadComeInOrder: as without a historian, except for what is valid.
func TestChecksOfHistoryReadComeInOrder(t *testing.T) {
	k, _, url := historic(t, func(c *Config) { c.Limits.HistoryNodes = 2 })
	k.ten(t, named("taga0"))
	c, token := newSession(t, url)
	tag := named("taga0")
	all := func(r *ua.HistoryReadRequest) {
		r.NodesToRead[0].IndexRange, r.NodesToRead[0].DataEncoding.Name = "x", "x"
		r.NodesToRead[0].ContinuationPoint = []byte{1}
	}
	for name, tc := range map[string]struct {
		node   rawvalue.NodeID
		change func(*ua.HistoryReadRequest)
		want   ua.StatusCode
	}{
		"valid": {tag, nil, ua.StatusGoodNoData},
		"no details": {tag, func(r *ua.HistoryReadRequest) { r.HistoryReadDetails = ua.NewExtensionObject(nil) },
			ua.StatusBadHistoryOperationInvalid},
		"no nodes": {tag, func(r *ua.HistoryReadRequest) { r.NodesToRead = nil }, ua.StatusBadNothingToDo},
		"too many": {tag, func(r *ua.HistoryReadRequest) { r.NodesToRead = slices.Repeat(r.NodesToRead, 3) },
			ua.StatusBadTooManyOperations},
		"no timestamps": {tag, func(r *ua.HistoryReadRequest) { r.TimestampsToReturn = ua.TimestampsToReturnNeither },
			ua.StatusBadTimestampsToReturnInvalid},
		"wrong timestamps": {tag, func(r *ua.HistoryReadRequest) { r.TimestampsToReturn = 9 },
			ua.StatusBadTimestampsToReturnInvalid},
		"unknown node":   {named("none"), all, ua.StatusBadNodeIDUnknown},
		"wrong encoding": {tag, all, ua.StatusBadDataEncodingInvalid},
		"wrong range": {tag, func(r *ua.HistoryReadRequest) {
			all(r)
			r.NodesToRead[0].DataEncoding.Name = ""
		}, ua.StatusBadIndexRangeInvalid},
		"no such point": {tag, func(r *ua.HistoryReadRequest) { r.NodesToRead[0].ContinuationPoint = []byte{1} },
			ua.StatusBadContinuationPointInvalid},
		"no such point, of eight bytes": {tag,
			func(r *ua.HistoryReadRequest) { r.NodesToRead[0].ContinuationPoint = make([]byte, 8) },
			ua.StatusBadContinuationPointInvalid},
		"wrong class": {named("plant"), nil, ua.StatusBadHistoryOperationUnsupported},
		"not kept":    {named("tagd0"), nil, ua.StatusBadHistoryOperationUnsupported},
		"other details": {tag, func(r *ua.HistoryReadRequest) {
			r.HistoryReadDetails = ua.NewExtensionObject(&ua.ReadAnnotationDataDetails{ReqTimes: []time.Time{}})
		}, ua.StatusBadHistoryOperationUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			req := historyOf(token, tc.node, func(r *ua.HistoryReadRequest) {
				if tc.change != nil {
					tc.change(r)
				}
			})
			if got := codeOf(t, c, req); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestAHistorianThatFails(t *testing.T) {
	k, s, url := historic(t, nil)
	c, token := newSession(t, url)
	k.ten(t, named("taga0"))
	k.err = errors.New("disk gone")
	r := readHistory(t, c, rawOf(token, ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(2)},
		named("taga0")))[0]
	if r.StatusCode != ua.StatusBadUnexpectedError || s.Stats().Faults != 1 {
		t.Errorf("got %v, %d faults; want Bad_UnexpectedError and one", r.StatusCode, s.Stats().Faults)
	}
}

// TestTheServerTellsWhatHistoryThereIs: with a historian the capabilities say what can be read, and
// that nothing can be changed.
func TestTheServerTellsWhatHistoryThereIs(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint(kept), func(t *testing.T) {
			s, _ := start(t, func(c *Config) {
				if kept {
					c.Historian = &keeper{}
				}
			})
			want := map[uint32]any{
				id.HistoryServerCapabilities_AccessHistoryDataCapability:                  kept,
				id.HistoryServerCapabilities_AccessHistoryEventsCapability:                kept,
				id.HistoryServerCapabilities_ServerTimestampSupported:                     kept,
				id.HistoryServerCapabilities_UpdateDataCapability:                         false,
				id.HistoryServerCapabilities_DeleteRawCapability:                          false,
				id.HistoryServerCapabilities_MaxReturnDataValues:                          uint32(0),
				id.HistoryServerCapabilities_MaxReturnEventValues:                         uint32(0),
				id.Server_ServerCapabilities_MaxHistoryContinuationPoints:                 uint16(0),
				id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData:   uint32(10_000),
				id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadEvents: uint32(10_000),
				id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateData: uint32(10_000),
			}
			notifier := byte(1)
			if kept {
				want[id.HistoryServerCapabilities_MaxReturnDataValues] = uint32(maxHistoryValues)
				want[id.HistoryServerCapabilities_MaxReturnEventValues] = uint32(maxHistoryEvents)
				want[id.Server_ServerCapabilities_MaxHistoryContinuationPoints] = uint16(100)
				want[id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData] = uint32(100)
				want[id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadEvents] = uint32(100)
				notifier = 5
			}
			s.cfg.Space.View(func(v addrspace.View) {
				for number, value := range want {
					if raw, ok := s.ownAttribute(v, ns0(number), ua.AttributeIDValue); !ok || !bytes.Contains(raw,
						dataValue(t, value)[1:]) {
						t.Errorf("%s is %x, want %v", id.Name(number), raw, value)
					}
				}
				if raw, _ := s.ownAttribute(v, ns0(id.Server), ua.AttributeIDEventNotifier); raw[2] != notifier {
					t.Errorf("EventNotifier of the server is %d, want %d", raw[2], notifier)
				}
			})
		})
	}
}

func uabinaryTicks(at time.Time) []byte {
	raw, _ := (&ua.DataValue{EncodingMask: ua.DataValueSourceTimestamp, SourceTimestamp: at}).Encode()
	return raw[1:]
}
