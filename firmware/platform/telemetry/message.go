package telemetry

import (
	"time"

	dto "github.com/prometheus/client_model/go"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// Resource says whose metrics they are. A Prometheus that takes OTLP makes job and
// instance of the first two, as its own scrape would have them.
type Resource struct {
	Service  string // service.name
	Instance string // service.instance.id
	Version  string // service.version
}

// message returns an ExportMetricsServiceRequest: MetricsData has the same fields, and
// its package does not import gRPC.
func (r Resource) message(families []*dto.MetricFamily, started, now time.Time) *metricspb.MetricsData {
	metrics := make([]*metricspb.Metric, 0, len(families))
	begin, at := uint64(started.UnixNano()), uint64(now.UnixNano())
	for _, f := range families {
		m := &metricspb.Metric{Name: f.GetName(), Description: f.GetHelp()}
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			points := points(f, at, func(m *dto.Metric) float64 { return m.Counter.GetValue() })
			for _, p := range points {
				p.StartTimeUnixNano = begin
			}
			m.Data = &metricspb.Metric_Sum{Sum: &metricspb.Sum{DataPoints: points, IsMonotonic: true,
				AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE}}
		case dto.MetricType_GAUGE:
			points := points(f, at, func(m *dto.Metric) float64 { return m.Gauge.GetValue() })
			m.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: points}}
		default:
			continue
		}
		metrics = append(metrics, m)
	}
	return &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
			attribute("service.name", r.Service), attribute("service.instance.id", r.Instance),
			attribute("service.version", r.Version),
		}},
		ScopeMetrics: []*metricspb.ScopeMetrics{{
			Scope: &commonpb.InstrumentationScope{Name: "heliograph"}, Metrics: metrics,
		}},
	}}}
}

func points(f *dto.MetricFamily, at uint64, value func(*dto.Metric) float64) []*metricspb.NumberDataPoint {
	list := make([]*metricspb.NumberDataPoint, 0, len(f.Metric))
	for _, m := range f.Metric {
		p := &metricspb.NumberDataPoint{TimeUnixNano: at,
			Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: value(m)}}
		for _, l := range m.Label {
			p.Attributes = append(p.Attributes, attribute(l.GetName(), l.GetValue()))
		}
		list = append(list, p)
	}
	return list
}

func attribute(key, value string) *commonpb.KeyValue {
	text := &commonpb.AnyValue_StringValue{StringValue: value}
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: text}}
}

// rejectedPoints reads an ExportMetricsServiceResponse: partial_success (1) has
// rejected_data_points (1). Its package imports gRPC. What is malformed counts as none.
func rejectedPoints(answer []byte) uint64 {
	success, _ := field(answer, 1, protowire.BytesType)
	_, n := field(success, 1, protowire.VarintType)
	return n
}

// field returns the value of a field of a message: its bytes, or its number.
func field(message []byte, number protowire.Number, kind protowire.Type) (value []byte, n uint64) {
	for len(message) > 0 {
		num, typ, length := protowire.ConsumeTag(message)
		if length < 0 {
			return nil, 0
		}
		message = message[length:]
		if length = protowire.ConsumeFieldValue(num, typ, message); length < 0 {
			return nil, 0
		}
		if num == number && typ == kind {
			value, _ = protowire.ConsumeBytes(message)
			n, _ = protowire.ConsumeVarint(message)
			return value, n
		}
		message = message[length:]
	}
	return nil, 0
}
