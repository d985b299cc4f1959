package crawl

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// own names what only the serving process can answer.
func own(node rawvalue.NodeID) bool {
	if node.Namespace != 0 || node.Kind != rawvalue.Numeric {
		return false
	}
	switch n := node.Number; {
	case n >= id.Server_ServerStatus && n <= id.Server_ServerStatus_BuildInfo_BuildDate, // ServerStatus
		n == id.Server_ServerStatus_SecondsTillShutdown, n == id.Server_ServerStatus_ShutdownReason,
		n == id.Server_ServiceLevel, n == id.Server_ServerArray, n == id.Server_Auditing,
		n == id.Server_ServerRedundancy_RedundancySupport, n == id.Server_ServerRedundancy_CurrentServerID,
		n == id.Server_ServerRedundancy_RedundantServerArray, n == id.Server_ServerRedundancy_ServerURIArray,
		n == id.Server_ServerRedundancy_ServerNetworkGroups,
		capability(n), historyCapability(n), diagnostic(n):
		return true
	}
	return false
}

// capability names the nodes of ServerCapabilities (OPC 10000-5 §6.3.2).
func capability(n uint32) bool {
	switch n {
	case id.Server_ServerCapabilities_ServerProfileArray, id.Server_ServerCapabilities_LocaleIDArray,
		id.Server_ServerCapabilities_MinSupportedSampleRate,
		id.Server_ServerCapabilities_MaxBrowseContinuationPoints,
		id.Server_ServerCapabilities_MaxQueryContinuationPoints,
		id.Server_ServerCapabilities_MaxHistoryContinuationPoints, id.Server_ServerCapabilities_SoftwareCertificates,
		id.Server_ServerCapabilities_MaxArrayLength, id.Server_ServerCapabilities_MaxStringLength,
		id.Server_ServerCapabilities_MaxByteStringLength,
		id.Server_ServerCapabilities_MaxSessions, id.Server_ServerCapabilities_MaxSubscriptions,
		id.Server_ServerCapabilities_MaxMonitoredItems,
		id.Server_ServerCapabilities_MaxSubscriptionsPerSession,
		id.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
		id.Server_ServerCapabilities_MaxSelectClauseParameters, id.Server_ServerCapabilities_MaxWhereClauseParameters,
		id.Server_ServerCapabilities_MaxMonitoredItemsQueueSize, id.Server_ServerCapabilities_ConformanceUnits,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadEvents,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateData,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateEvents,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerMethodCall,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIDs,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerNodeManagement,
		id.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall:
		return true
	}
	return false
}

// historyCapability names the nodes of HistoryServerCapabilities (OPC 10000-11 §5.4.2).
func historyCapability(n uint32) bool {
	return n >= id.HistoryServerCapabilities_AccessHistoryDataCapability &&
		n <= id.HistoryServerCapabilities_DeleteAtTimeCapability ||
		n == id.HistoryServerCapabilities_AccessHistoryEventsCapability ||
		n >= id.HistoryServerCapabilities_MaxReturnDataValues &&
			n <= id.HistoryServerCapabilities_InsertAnnotationCapability ||
		n >= id.HistoryServerCapabilities_InsertEventCapability &&
			n <= id.HistoryServerCapabilities_UpdateEventCapability ||
		n == id.HistoryServerCapabilities_DeleteEventCapability ||
		n == id.HistoryServerCapabilities_ServerTimestampSupported
}

// diagnostic names the nodes of ServerDiagnostics (OPC 10000-5 §6.3.3).
func diagnostic(n uint32) bool {
	return n >= id.Server_ServerDiagnostics_ServerDiagnosticsSummary && n <= id.Server_ServerDiagnostics_EnabledFlag ||
		n == id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedSessionCount ||
		n == id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray ||
		n == id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray ||
		n == id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedRequestsCount
}

// Bits that are taken from AccessLevel, UserAccessLevel, AccessLevelEx and EventNotifier.
const (
	writeBits   = 0x02 | 0x20 | 0x40
	historyBits = 0x04 | 0x08
)

// served are the methods that a mirror answers.
func served(n rawvalue.NodeID) bool {
	switch n {
	case rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh},
		rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh2},
		rawvalue.NodeID{Number: id.Server_GetMonitoredItems}, rawvalue.NodeID{Number: id.Server_ResendData}:
		return true
	}
	return false
}

// allowed reports whether an attribute may differ as it does. Which history there is, is the
// mirror's own: it serves none, or the one that it has kept.
func allowed(node rawvalue.NodeID, a ua.AttributeID, source, mirror string) bool {
	if source == mirror {
		return true
	}
	switch a {
	case ua.AttributeIDValue:
		return own(node)
	case ua.AttributeIDEventNotifier:
		return node == rawvalue.NodeID{Number: id.Server} ||
			without(historyBits, source) == without(historyBits, mirror)
	case ua.AttributeIDWriteMask, ua.AttributeIDUserWriteMask:
		return strings.HasSuffix(mirror, " 0700000000")
	case ua.AttributeIDExecutable, ua.AttributeIDUserExecutable:
		return strings.HasSuffix(mirror, " 0101") == served(node)
	case ua.AttributeIDHistorizing:
		return strings.HasSuffix(mirror, " 0100") || strings.HasSuffix(mirror, " 0101")
	case ua.AttributeIDAccessLevel, ua.AttributeIDUserAccessLevel, ua.AttributeIDAccessLevelEx:
		return without(writeBits|historyBits, source) == without(historyBits, mirror)
	}
	return false
}

// without is the text of a number without some bits of its lowest byte.
func without(bits uint64, text string) string {
	i := strings.LastIndexByte(text, ' ') + 1
	if len(text) < i+4 {
		return text
	}
	low, err := strconv.ParseUint(text[i+2:i+4], 16, 8) // behind the Variant's type, the lowest byte
	if err != nil {
		return text
	}
	return text[:i+2] + fmt.Sprintf("%02x", low&^bits) + text[i+4:]
}
