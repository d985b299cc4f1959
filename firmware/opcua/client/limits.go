package client

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// Our own choices: operations in one request, where the server allows as many.
const (
	maxRead    = 1000
	maxBrowse  = 250
	maxMonitor = 1000
)

const maxTexts = 1 << 16 // namespaces that a NodeId can name

// Limits are what the server announces; 0 where it announces no limit.
type Limits struct {
	NodesPerRead                  int
	NodesPerBrowse                int
	BrowseContinuationPoints      int
	MonitoredItemsPerCall         int
	MonitoredItemsPerSubscription int
	SubscriptionsPerSession       int
	QueueSize                     int
	SelectClauses                 int
	NodesPerHistoryRead           int // of values
	NodesPerEventHistoryRead      int
	HistoryContinuationPoints     int
}

// Server is what the server says of itself.
type Server struct {
	ApplicationURI, ProductURI, ProductName, Manufacturer, Version string
	URIs                                                           []string // the ServerArray
	StartTime                                                      time.Time
}

// Limits returns what the server said when the session began.
func (s *Session) Limits() Limits { return s.limits }

// Namespaces returns the NamespaceArray as it was when the session began.
func (s *Session) Namespaces() []string { return s.namespaces }

// Server returns what the server said of itself when the session began.
func (s *Session) Server() Server { return s.info }

// readCapabilities reads what the server says of itself. Only its namespaces are indispensable.
func (s *Session) readCapabilities(ctx context.Context) error {
	facts, l := s.facts(), &s.limits
	items := make([]ReadItem, len(facts))
	for i, f := range facts {
		items[i] = ReadItem{rawvalue.NodeID{Number: f.node}, ua.AttributeIDValue}
	}
	err := s.Read(ctx, items, 0, func(i int, dv rawvalue.DataValue) {
		if !isBad(dv.Status) {
			facts[i].take(dv.Value)
		}
	})
	if err != nil {
		return err
	}
	if len(s.namespaces) == 0 {
		return &Error{Service: "Connect", Code: ua.StatusBadConfigurationError,
			Reason: "the server gives no NamespaceArray, and without one no NodeId means anything"}
	}
	s.batches.read.limit(maxRead, l.NodesPerRead)
	s.batches.browse.limit(maxBrowse, l.NodesPerBrowse)
	s.batches.monitor.limit(maxMonitor, l.MonitoredItemsPerCall)
	return nil
}

// fact is what a server says of itself in a node's Value.
type fact struct {
	node uint32
	take func(rawvalue.Variant)
}

// facts returns what is read of a server, and where it goes.
func (s *Session) facts() []fact {
	number := func(to *int) func(rawvalue.Variant) {
		return func(v rawvalue.Variant) {
			if n, ok := integer(v); ok && n > 0 {
				*to = int(min(n, math.MaxInt32))
			}
		}
	}
	text := func(to *string) func(rawvalue.Variant) {
		return func(v rawvalue.Variant) {
			if t := texts(v); len(t) == 1 && t[0] != "" {
				*to = t[0]
			}
		}
	}
	l, info := &s.limits, &s.info
	return []fact{
		{id.Server_NamespaceArray, func(v rawvalue.Variant) { s.namespaces = texts(v) }},
		{id.Server_ServerArray, func(v rawvalue.Variant) { info.URIs = texts(v) }},
		{id.Server_ServerStatus_StartTime, func(v rawvalue.Variant) { info.StartTime = instant(v) }},
		{id.Server_ServerStatus_BuildInfo_ProductURI, text(&info.ProductURI)},
		{id.Server_ServerStatus_BuildInfo_ProductName, text(&info.ProductName)},
		{id.Server_ServerStatus_BuildInfo_ManufacturerName, text(&info.Manufacturer)},
		{id.Server_ServerStatus_BuildInfo_SoftwareVersion, text(&info.Version)},
		{id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead, number(&l.NodesPerRead)},
		{id.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse, number(&l.NodesPerBrowse)},
		{id.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
			number(&l.MonitoredItemsPerCall)},
		{id.Server_ServerCapabilities_MaxBrowseContinuationPoints, number(&l.BrowseContinuationPoints)},
		{id.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
			number(&l.MonitoredItemsPerSubscription)},
		{id.Server_ServerCapabilities_MaxSubscriptionsPerSession, number(&l.SubscriptionsPerSession)},
		{id.Server_ServerCapabilities_MaxMonitoredItemsQueueSize, number(&l.QueueSize)},
		{id.Server_ServerCapabilities_MaxSelectClauseParameters, number(&l.SelectClauses)},
		{id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
			number(&l.NodesPerHistoryRead)},
		{id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadEvents,
			number(&l.NodesPerEventHistoryRead)},
		{id.Server_ServerCapabilities_MaxHistoryContinuationPoints, number(&l.HistoryContinuationPoints)},
	}
}

// integer reads a scalar of any integer type, and an enumeration's number.
func integer(v rawvalue.Variant) (int64, bool) {
	if v.IsArray() {
		return 0, false
	}
	b := v.Elements()
	switch v.Type() {
	case ua.TypeIDByte:
		return int64(b[0]), true
	case ua.TypeIDUint16:
		return int64(binary.LittleEndian.Uint16(b)), true
	case ua.TypeIDInt32:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case ua.TypeIDUint32:
		return int64(binary.LittleEndian.Uint32(b)), true
	}
	return 0, false
}

// texts reads a String or an array of them.
func texts(v rawvalue.Variant) []string {
	if v.Type() != ua.TypeIDString || v.Len() < 0 || v.Len() > maxTexts {
		return nil
	}
	list := make([]string, 0, v.Len())
	for _, e := range v.Each() {
		c := rawvalue.NewCursor(e, rawvalue.Limits{})
		list = append(list, string(c.Bytes()))
	}
	return list
}

// instant reads a DateTime, the zero Time where there is none.
func instant(v rawvalue.Variant) time.Time {
	if v.Type() != ua.TypeIDDateTime || v.IsArray() {
		return time.Time{}
	}
	return uabinary.Time(int64(binary.LittleEndian.Uint64(v.Elements())))
}
