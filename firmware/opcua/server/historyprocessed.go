package server

import (
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/historyread"
	"heliograph/firmware/opcua/rawvalue"
)

// checkProcessed reads the details of ReadProcessedDetails (OPC 10000-11 §6.5.4).
func (h *historyRequest) checkProcessed(d *ua.ReadProcessedDetails, c *rawvalue.Cursor) {
	h.kind, h.process = readProcessed, d
	p := &h.fresh.processed
	p.Start, p.End = dateTime(c), dateTime(c)
	const most = float64(historyread.MaxInterval / time.Millisecond)
	if p.Start == 0 || p.End == 0 || p.Start == p.End || !(d.ProcessingInterval >= 0) {
		h.invalid = ua.StatusBadInvalidArgument
		return
	}
	p.Interval = time.Duration(min(d.ProcessingInterval, most) * float64(time.Millisecond))
}

// beginProcessed returns where an aggregate of a node begins.
func (h *historyRequest) beginProcessed(function *ua.NodeID, node rawvalue.NodeID) (historyState, ua.StatusCode) {
	state := h.fresh
	n, err := rawvalue.FromUA(function)
	if err != nil || n.Namespace != 0 || n.Kind != rawvalue.Numeric || !aggregate.Supported(n.Number) {
		return state, ua.StatusBadAggregateNotSupported
	}
	p := &state.processed
	p.Aggregate = n.Number
	h.server.cfg.Space.View(func(v addrspace.View) { p.Config = h.server.aggregateConfig(v, node) })
	if c := h.process.AggregateConfiguration; c != nil && !c.UseServerCapabilitiesDefaults {
		p.Config.TreatUncertainAsBad, p.Config.UseSlopedExtrapolation = c.TreatUncertainAsBad, c.UseSlopedExtrapolation
		p.Config.PercentDataBad, p.Config.PercentDataGood = c.PercentDataBad, c.PercentDataGood
	}
	if !h.server.hasNumbers(node) {
		if aggregate.Numeric(p.Aggregate) {
			return state, ua.StatusBadAggregateInvalidInputs
		}
		p.Config.Stepped = true
	}
	return state, ua.StatusOK
}

// readProcessed reads on in an aggregate.
func (h *historyRequest) readProcessed(each historyread.Source, state *historyState, e *historyEntries) (bool, error) {
	w := historyread.Work{Samples: e.work.examined, Late: e.late}
	more, err := state.processed.Read(each, &w, e.addValue)
	e.examined = w.Used()
	return more, err
}

// readTimes reads the details of ReadAtTimeDetails (OPC 10000-11 §6.5.5).
func (h *historyRequest) readTimes(d *ua.ReadAtTimeDetails, c *rawvalue.Cursor) {
	h.kind, h.simple = readAtTime, d.UseSimpleBounds
	for range c.Length(8) {
		h.times = append(h.times, c.Int64())
	}
}

// readAtTime reads on at the times that are asked for.
func (h *historyRequest) readAtTime(node rawvalue.NodeID, each historyread.Source, state *historyState,
	e *historyEntries) (more bool, err error) {
	a := historyread.AtTime{Times: h.times, Simple: h.simple, Numbers: h.server.hasNumbers(node), Next: state.times}
	h.server.cfg.Space.View(func(v addrspace.View) { a.Config = h.server.aggregateConfig(v, node) })
	w := historyread.Work{Samples: e.work.examined, Late: e.late}
	more, err = a.Read(each, &w, e.addValue)
	state.times, e.examined = a.Next, w.Used()
	return more, err
}

// hasNumbers reports whether a variable's values are numbers or Booleans: its newest one is.
func (s *Server) hasNumbers(node rawvalue.NodeID) (is bool) {
	raw, _ := s.values.get(node)
	is, known := historyread.IsNumber(raw)
	if known {
		return is
	}
	const examined = 100
	n := 0
	_ = s.cfg.Historian.Values(node, s.cfg.Now(), time.Unix(0, 0), func(_ time.Time, raw []byte) bool {
		is, known = historyread.IsNumber(raw)
		n++
		return !known && n < examined
	})
	return is || !known
}

// aggregateConfig returns how aggregates of a variable are computed: as its HistoricalDataConfiguration
// says (OPC 10000-11 §5.2), else as OPC 10000-13 §4.2.1.2 has it by default. Nothing lies between
// two values of an enumeration or a Boolean: each holds until the next.
func (s *Server) aggregateConfig(v addrspace.View, node rawvalue.NodeID) aggregate.Config {
	c := aggregate.DefaultConfig()
	c.Stepped = s.discrete(v, node)
	found, _ := v.Translate(node, []addrspace.Element{{Type: rawvalue.NodeID{Number: id.HasHistoricalConfiguration},
		Subtypes: true}}, 1)
	if len(found) == 0 {
		return c
	}
	c.Stepped = c.Stepped || byteOf(s.propertyValue(v, found[0], "Stepped"), 0) != 0
	found, _ = v.Translate(found[0], []addrspace.Element{{Type: rawvalue.NodeID{Number: id.HasComponent},
		Subtypes: true, Name: rawvalue.QualifiedName{Name: []byte("AggregateConfiguration")}}}, 1)
	if len(found) == 0 {
		return c
	}
	read := func(name string, otherwise byte) byte { return byteOf(s.propertyValue(v, found[0], name), otherwise) }
	c.TreatUncertainAsBad = read("TreatUncertainAsBad", 1) != 0
	c.PercentDataBad, c.PercentDataGood = read("PercentDataBad", c.PercentDataBad), read("PercentDataGood",
		c.PercentDataGood)
	c.UseSlopedExtrapolation = read("UseSlopedExtrapolation", 0) != 0
	return c
}

// discrete reports whether a variable's values are Booleans or of an enumeration.
func (s *Server) discrete(v addrspace.View, node rawvalue.NodeID) bool {
	raw, _ := s.values.get(node)
	if dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err == nil && dv.Value.Type() == ua.TypeIDBoolean {
		return true
	}
	ref, ok := v.Lookup(node)
	if !ok {
		return false
	}
	raw, _ = v.AppendAttribute(nil, ref, ua.AttributeIDDataType)
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || dv.Value.IsArray() || dv.Value.Type() != ua.TypeIDNodeID {
		return false
	}
	dataType, err := rawvalue.ParseNodeID(dv.Value.Raw[1:])
	return err == nil && (v.IsSubtype(dataType, rawvalue.NodeID{Number: id.Boolean}) ||
		v.IsSubtype(dataType, rawvalue.NodeID{Number: id.Enumeration}))
}

// byteOf reads a Byte or Boolean.
func byteOf(dataValue []byte, otherwise byte) byte {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil || dv.Value.IsArray() || dv.Value.Type() != ua.TypeIDByte && dv.Value.Type() != ua.TypeIDBoolean {
		return otherwise
	}
	return dv.Value.Raw[1]
}
