package server

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/rawvalue"
)

// processedOf asks for one aggregate of each node.
func processedOf(token *ua.NodeID, d ua.ReadProcessedDetails, nodes ...rawvalue.NodeID) *ua.HistoryReadRequest {
	if d.AggregateConfiguration == nil {
		d.AggregateConfiguration = &ua.AggregateConfiguration{UseServerCapabilitiesDefaults: true}
	}
	return historyRequestOf(token, &d, nodes...)
}

func functions(numbers ...uint32) (list []*ua.NodeID) {
	for _, n := range numbers {
		list = append(list, ua.NewNumericNodeID(0, n))
	}
	return list
}

func TestAggregatesAreRead(t *testing.T) {
	k, s, url := historic(t, nil)
	c, token := newSession(t, url)
	tag, text := named("taga0"), named("tagc0")
	k.ten(t, tag)
	s.Set(text, dataValue(t, "on"))
	k.keep(t, text, second(1), "on", ua.StatusOK)
	average := functions(id.AggregateFunction_Average)
	for name, tc := range map[string]struct {
		node    rawvalue.NodeID
		details ua.ReadProcessedDetails
		code    ua.StatusCode
		want    []float64 // NaN: no value
	}{
		"intervals": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(6), ProcessingInterval: 2000,
			AggregateType: average}, ua.StatusOK, []float64{0.5, 2.5, 4.5}},
		"one interval": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4), AggregateType: average},
			ua.StatusOK, []float64{1.5}},
		"backward": {tag, ua.ReadProcessedDetails{StartTime: second(5), EndTime: second(1), ProcessingInterval: 2000,
			AggregateType: average}, ua.StatusOK, []float64{4.5, 2.5}},
		"before all": {tag, ua.ReadProcessedDetails{StartTime: second(-4), EndTime: second(-2),
			ProcessingInterval: 1000,
			AggregateType:      average}, ua.StatusOK, []float64{math.NaN(), math.NaN()}},
		"count of texts": {text, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			AggregateType: functions(id.AggregateFunction_Count)}, ua.StatusOK, []float64{1}},
		"average of texts": {text, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			AggregateType: average},
			ua.StatusBadAggregateInvalidInputs, nil},
		"of annotations": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			AggregateType: functions(id.AggregateFunction_AnnotationCount)}, ua.StatusBadAggregateNotSupported, nil},
		"of the plant's own": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			AggregateType: []*ua.NodeID{named("mine").UA()}}, ua.StatusBadAggregateNotSupported, nil},
		"no time": {tag, ua.ReadProcessedDetails{StartTime: second(4), EndTime: second(4), AggregateType: average},
			ua.StatusBadInvalidArgument, nil},
		"no end": {tag, ua.ReadProcessedDetails{StartTime: second(4), AggregateType: average},
			ua.StatusBadInvalidArgument, nil},
		"a negative interval": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			ProcessingInterval: -1,
			AggregateType:      average}, ua.StatusBadInvalidArgument, nil},
		"no interval": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			ProcessingInterval: math.NaN(), AggregateType: average}, ua.StatusBadInvalidArgument, nil},
		"an endless interval": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			ProcessingInterval: math.Inf(1), AggregateType: average}, ua.StatusOK, []float64{1.5}},
		"percentages": {tag, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4), AggregateType: average,
			AggregateConfiguration: &ua.AggregateConfiguration{PercentDataBad: 10, PercentDataGood: 10}},
			ua.StatusBadAggregateInvalidInputs, nil},
		"not kept": {named("tagd0"), ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
			AggregateType: average},
			ua.StatusBadHistoryOperationUnsupported, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := readHistory(t, c, processedOf(token, tc.details, tc.node))[0]
			if r.StatusCode != tc.code {
				t.Fatalf("got %v, want %v", r.StatusCode, tc.code)
			}
			if tc.code != ua.StatusOK {
				return
			}
			var got []float64
			for _, dv := range valuesOf(t, r) {
				x := math.NaN()
				if dv.EncodingMask&ua.DataValueValue != 0 {
					x = asFloat(dv.Value)
				}
				got = append(got, x)
			}
			if !slices.EqualFunc(got, tc.want, func(a, b float64) bool { return a == b || a != a && b != b }) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	if got := codeOf(t, c, processedOf(token, ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(4),
		AggregateType: slices.Repeat(average, 2)}, tag)); got != ua.StatusBadAggregateListMismatch {
		t.Errorf("two aggregates of one node: got %v, want Bad_AggregateListMismatch", got)
	}
}

// asFloat returns a number as the client sees it.
func asFloat(v *ua.Variant) float64 {
	if n, ok := v.Value().(int32); ok {
		return float64(n)
	}
	return v.Float()
}

func TestAggregatesContinue(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.ten(t, named("taga0"))
	req := processedOf(token, ua.ReadProcessedDetails{StartTime: second(0),
		EndTime:            second(0).Add(2 * maxHistoryValues * time.Millisecond),
		ProcessingInterval: 1, AggregateType: functions(id.AggregateFunction_Count)}, named("taga0"))
	var sizes []int
	for {
		r := readHistory(t, c, req)[0]
		if r.StatusCode != ua.StatusOK {
			t.Fatal(r.StatusCode)
		}
		list := valuesOf(t, r)
		sizes = append(sizes, len(list))
		at := second(0).Add(time.Duration(len(sizes)-1) * maxHistoryValues * time.Millisecond)
		if !list[0].SourceTimestamp.Equal(at) {
			t.Errorf("part %d begins at %v, want %v", len(sizes), list[0].SourceTimestamp, at)
		}
		if req.NodesToRead[0].ContinuationPoint = r.ContinuationPoint; r.ContinuationPoint == nil {
			break
		}
	}
	if !slices.Equal(sizes, []int{maxHistoryValues, maxHistoryValues}) {
		t.Errorf("got responses of %v values", sizes)
	}
}

func TestValuesAtTimesAreRead(t *testing.T) {
	k, s, url := historic(t, nil)
	c, token := newSession(t, url)
	tag := named("taga0")
	k.ten(t, tag)
	details := &ua.ReadAtTimeDetails{ReqTimes: []time.Time{second(3), second(2).Add(500 * time.Millisecond),
		second(-1)}}
	read := func() []*ua.DataValue {
		return valuesOf(t, readHistory(t, c, historyRequestOf(token, details, tag))[0])
	}
	got := read()
	if len(got) != 3 || got[0].Value.Float() != 3 || got[0].Status != ua.StatusOK || got[1].Value.Float() != 2.5 ||
		got[1].Status != 0x402 || got[2].Status != ua.StatusBadNoData {
		t.Errorf("got %+v, want 3, 2.5 interpolated, and no data", got)
	}
	// the variable's configuration says that a value holds until the next
	ref := func(kind uint32, to rawvalue.NodeID) addrspace.Reference {
		return addrspace.Reference{Type: ns0(kind), Target: to}
	}
	node := func(n rawvalue.NodeID, class ua.NodeClass, name string, refs ...addrspace.Reference) addrspace.Change {
		return addrspace.Change{Kind: addrspace.Put, Node: addrspace.Node{ID: n, References: refs,
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(class))},
				{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: name})}}}}
	}
	_, err := s.cfg.Space.Apply([]addrspace.Change{
		node(ns0(id.HasHistoricalConfiguration), ua.NodeClassReferenceType, "HasHistoricalConfiguration"),
		node(named("ha"), ua.NodeClassObject, "HA Configuration", ref(id.HasProperty, named("stepped")),
			ref(id.HasComponent, named("aggregates"))),
		node(named("stepped"), ua.NodeClassVariable, "Stepped"),
		node(named("aggregates"), ua.NodeClassObject, "AggregateConfiguration", ref(id.HasProperty, named("bad"))),
		node(named("bad"), ua.NodeClassVariable, "PercentDataBad"),
		{Kind: addrspace.AddReferences, Node: addrspace.Node{ID: tag,
			References: []addrspace.Reference{ref(id.HasHistoricalConfiguration, named("ha"))}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Set(named("stepped"), dataValue(t, true))
	s.Set(named("bad"), dataValue(t, byte(30)))
	if got = read(); got[1].Value.Float() != 2 {
		t.Errorf("stepped: got %v, want 2", got[1].Value.Float())
	}
	s.cfg.Space.View(func(v addrspace.View) {
		want := aggregate.DefaultConfig()
		want.Stepped, want.PercentDataBad = true, 30
		if c := s.aggregateConfig(v, tag); c != want {
			t.Errorf("got %+v, want %+v", c, want)
		}
	})
}

// TestManyTimesContinue: with the same times in the request that continues.
func TestManyTimesContinue(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.ten(t, named("taga0"))
	details := &ua.ReadAtTimeDetails{}
	for i := range maxHistoryValues + 3 {
		details.ReqTimes = append(details.ReqTimes, second(i%10))
	}
	req := historyRequestOf(token, details, named("taga0"))
	r := readHistory(t, c, req)[0]
	if n := len(valuesOf(t, r)); n != maxHistoryValues || r.ContinuationPoint == nil {
		t.Fatalf("got %d values, point %x", n, r.ContinuationPoint)
	}
	req.NodesToRead[0].ContinuationPoint = r.ContinuationPoint
	r = readHistory(t, c, req)[0]
	if got := numbers(valuesOf(t, r)); got != "0 1 2" || r.ContinuationPoint != nil {
		t.Errorf("got %s, point %x; want 0 1 2", got, r.ContinuationPoint)
	}
}

// TestValuesBetweenWhichNothingLiesHold: Booleans and enumerations are not interpolated.
func TestValuesBetweenWhichNothingLiesHold(t *testing.T) {
	k, s, url := historic(t, nil)
	c, token := newSession(t, url)
	node := func(n rawvalue.NodeID, refs ...addrspace.Reference) addrspace.Change {
		return addrspace.Change{Kind: addrspace.Put, Node: addrspace.Node{ID: n, References: refs}}
	}
	typed := func(n, dataType rawvalue.NodeID) addrspace.Change {
		return addrspace.Change{Kind: addrspace.SetAttributes, Node: addrspace.Node{ID: n,
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDDataType, Value: dataValue(t, dataType.UA())}}}}
	}
	if _, err := s.cfg.Space.Apply([]addrspace.Change{
		node(named("mode"), addrspace.Reference{Type: ns0(id.HasSubtype), Target: ns0(id.Enumeration), Inverse: true}),
		typed(named("taga0"), ns0(id.Boolean)), typed(named("tagb0"), named("mode")),
		typed(named("tagc0"), ns0(id.Int32)),
	}); err != nil {
		t.Fatal(err)
	}
	for tag, values := range map[string][2]any{"taga0": {false, true}, "tagb0": {int32(0), int32(10)},
		"tagc0": {int32(0), int32(10)}} {
		k.keep(t, named(tag), second(0), values[0], ua.StatusOK)
		k.keep(t, named(tag), second(10), values[1], ua.StatusOK)
	}
	s.Set(named("tagb0"), dataValue(t, int32(10)))
	at := &ua.ReadAtTimeDetails{ReqTimes: []time.Time{second(6)}}
	interpolated := ua.ReadProcessedDetails{StartTime: second(6), EndTime: second(7), ProcessingInterval: 1000,
		AggregateType: functions(id.AggregateFunction_Interpolative)}
	for tag, want := range map[string]any{"taga0": false, "tagb0": int32(0), "tagc0": int32(6)} {
		for _, req := range []*ua.HistoryReadRequest{historyRequestOf(token, at, named(tag)),
			processedOf(token, interpolated, named(tag))} {
			got := valuesOf(t, readHistory(t, c, req)[0])[0]
			if got.Value == nil || got.Value.Value() != want || got.Status != 0x402 {
				t.Errorf("%s: got %v, %v; want %v, Good and interpolated", tag, got.Value, got.Status, want)
			}
		}
	}
}
