// Package aggregate computes the aggregates of OPC 10000-13 from the raw history of one
// Variable: what HistoryRead with ReadProcessedDetails returns.
//
// It reads no store and no clock: the caller gives the samples in time order and gets one
// value for each interval. Memory is constant however many samples an interval has; a request
// that goes backwards holds one result for each interval, whose number the caller bounds.
// It refuses AnnotationCount (no annotations are kept), WorstQuality2 (the examples and the
// text of OPC 10000-13 disagree about which bounds count), arrays and structures.
//
// Clauses followed, of OPC 10000-13 1.05:
//
//	§3.1.8, §3.1.9   interpolated and simple bounding values
//	§4.2.1.2         AggregateConfiguration; where PercentDataGood is 100 − PercentDataBad, only
//	                 the good ratio counts
//	§5.3.3           the historian bits Calculated, Interpolated, Partial and MultipleValues; ExtraData
//	                 is a server's choice and never set
//	§5.4.2.2         intervals, forward and backward
//	§5.4.2.4         the time resolution, here one millisecond, is the duration of the last sample
//	§5.4.3           the aggregates that List names
//
// The tests compare with the examples that the OPC Foundation publishes as
// AggregateExamples.csv, and name each row that is left out and why. Where text and examples
// differ: DurationGood, DurationBad and their percentages give the time before the first sample of
// an interval the status of the sample before it (§5.4.3.31, text), MultipleValues of WorstQuality
// means different codes (examples), and a raw value with its own time never has the bit
// Calculated (examples). No conformance is claimed.
//
// A sample without a number, or whose number is not a number, is Bad for every aggregate that
// calculates with it.
package aggregate
