package telemetry

import (
	"math"
	"strings"
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
		m := &metricspb.Metric{Name: f.GetName(), Description: f.GetHelp(), Unit: unit(f.GetName())}
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
		case dto.MetricType_HISTOGRAM:
			m.Data = &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{DataPoints: histograms(f, begin, at),
				AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE}}
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
		list = append(list, &metricspb.NumberDataPoint{Attributes: attributes(m), TimeUnixNano: at,
			Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: value(m)}})
	}
	return list
}

// histograms returns the points of classic histograms: there a bucket has all up to its
// bound, in OTLP what is above the bound before as well, and one more is above all.
func histograms(f *dto.MetricFamily, begin, at uint64) []*metricspb.HistogramDataPoint {
	list := make([]*metricspb.HistogramDataPoint, 0, len(f.Metric))
	for _, m := range f.Metric {
		h := m.Histogram
		p := &metricspb.HistogramDataPoint{Attributes: attributes(m), StartTimeUnixNano: begin, TimeUnixNano: at,
			Count: h.GetSampleCount(), Sum: h.SampleSum}
		below := uint64(0)
		for _, b := range h.Bucket {
			if math.IsInf(b.GetUpperBound(), 1) {
				break
			}
			p.ExplicitBounds = append(p.ExplicitBounds, b.GetUpperBound())
			p.BucketCounts = append(p.BucketCounts, b.GetCumulativeCount()-below)
			below = b.GetCumulativeCount()
		}
		p.BucketCounts = append(p.BucketCounts, p.Count-below)
		list = append(list, p)
	}
	return list
}

func attributes(m *dto.Metric) (list []*commonpb.KeyValue) {
	for _, l := range m.Label {
		list = append(list, attribute(l.GetName(), l.GetValue()))
	}
	return list
}

// units are the UCUM codes of the units that names of metrics end in. From a unit a
// Prometheus makes the end of a name that lacks it: what only counts has none.
var units = map[string]string{"seconds": "s", "bytes": "By", "celsius": "Cel", "percent": "%"}

// unit returns the unit of a metric, "" where it only counts or says what is.
func unit(name string) string {
	name = strings.TrimSuffix(name, "_total")
	return units[name[strings.LastIndexByte(name, '_')+1:]]
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
