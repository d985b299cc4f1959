package aggregate

import (
	"slices"
	"sync"
)

// Type is the data type of a result.
type Type uint8

// The types of results (OPC 10000-13 §5.4.3, row "Data Type").
const (
	TypeDouble   Type = iota // Value.Value; durations are in milliseconds
	TypeInt32                // Value.Value, a whole number
	TypeStatus               // Value.Value, the StatusCode as a number
	TypeOfSource             // Value.Raw where it is not nil, else Value.Value in the type of the samples
)

// function is an aggregate.
type function struct {
	id      uint32 // NodeId i= in namespace 0
	name    string // BrowseName
	result  Type
	numeric bool // needs samples with numbers
	run     runner
}

// Supported reports whether Compute knows the aggregate with this identifier in namespace 0.
func Supported(id uint32) bool { return find(id) != nil }

// List returns the identifiers of all aggregates in namespace 0, ascending.
func List() []uint32 {
	var ids []uint32
	for _, f := range catalog() {
		ids = append(ids, f.id)
	}
	return ids
}

// Name returns an aggregate's BrowseName, "" if it is not supported.
func Name(id uint32) string {
	if f := find(id); f != nil {
		return f.name
	}
	return ""
}

// Result returns the type of an aggregate's results, TypeDouble if it is not supported.
func Result(id uint32) Type {
	if f := find(id); f != nil {
		return f.result
	}
	return TypeDouble
}

// Numeric reports whether an aggregate calculates with numbers: for a Variable of a type that is
// neither numeric nor Boolean it has nothing but Bad samples.
func Numeric(id uint32) bool {
	f := find(id)
	return f != nil && f.numeric
}

// find returns the aggregate, nil if there is none.
func find(id uint32) *function {
	all := catalog()
	i, ok := slices.BinarySearchFunc(all, id, func(f function, id uint32) int { return int(f.id) - int(id) })
	if !ok {
		return nil
	}
	return &all[i]
}

// catalog builds the list once.
var catalog = sync.OnceValue(functions)

// request is what a runner works on.
type request struct {
	values  Source
	slots   slots
	config  Config
	numeric bool
	emit    func(Value) bool
}

// runner computes all intervals, ascending in time, until emit returns false.
type runner func(q *request) error

// functions are all that there is, ascending by ID.
func functions() []function {
	return []function{
		{2341, "Interpolative", TypeOfSource, true, interpolative},
		{2342, "Average", TypeDouble, true, raw(newCounts(average))},
		{2343, "TimeAverage", TypeDouble, true, timeAverage(false)},
		{2344, "Total", TypeDouble, true, timeAverage(true)},
		{2346, "Minimum", TypeOfSource, true, raw(newExtremes(minimum))},
		{2347, "Maximum", TypeOfSource, true, raw(newExtremes(maximum))},
		{2348, "MinimumActualTime", TypeOfSource, true, raw(newExtremes(minimumActualTime))},
		{2349, "MaximumActualTime", TypeOfSource, true, raw(newExtremes(maximumActualTime))},
		{2350, "Range", TypeOfSource, true, raw(newExtremes(span))},
		{2352, "Count", TypeInt32, false, raw(newCounts(count))},
		{2355, "NumberOfTransitions", TypeInt32, true, raw(newCounts(transitions))},
		{2357, "Start", TypeOfSource, false, raw(newEnds(first))},
		{2358, "End", TypeOfSource, false, raw(newEnds(last))},
		{2359, "Delta", TypeOfSource, true, raw(newEnds(delta))},
		{2360, "DurationGood", TypeDouble, false, raw(newDurations(durationGood))},
		{2361, "DurationBad", TypeDouble, false, raw(newDurations(durationBad))},
		{2362, "PercentGood", TypeDouble, false, raw(newDurations(percentGood))},
		{2363, "PercentBad", TypeDouble, false, raw(newDurations(percentBad))},
		{2364, "WorstQuality", TypeStatus, false, raw(newWorst)},
		{11285, "TimeAverage2", TypeDouble, true, raw(newAreas(average2))},
		{11286, "Minimum2", TypeOfSource, true, raw(newAreas(minimum2))},
		{11287, "Maximum2", TypeOfSource, true, raw(newAreas(maximum2))},
		{11288, "Range2", TypeOfSource, true, raw(newAreas(span2))},
		{11304, "Total2", TypeDouble, true, raw(newAreas(total2))},
		{11305, "MinimumActualTime2", TypeOfSource, true, raw(newAreas(minimumActualTime2))},
		{11306, "MaximumActualTime2", TypeOfSource, true, raw(newAreas(maximumActualTime2))},
		{11307, "DurationInStateZero", TypeDouble, true, raw(newDurations(stateZero))},
		{11308, "DurationInStateNonZero", TypeDouble, true, raw(newDurations(stateNonZero))},
		{11426, "StandardDeviationSample", TypeDouble, true, raw(newCounts(deviationSample))},
		{11427, "StandardDeviationPopulation", TypeDouble, true, raw(newCounts(deviationPopulation))},
		{11428, "VarianceSample", TypeDouble, true, raw(newCounts(varianceSample))},
		{11429, "VariancePopulation", TypeDouble, true, raw(newCounts(variancePopulation))},
		{11505, "StartBound", TypeOfSource, true, raw(newBounds(startBound))},
		{11506, "EndBound", TypeOfSource, true, raw(newBounds(endBound))},
		{11507, "DeltaBounds", TypeOfSource, true, raw(newBounds(deltaBounds))},
	}
}
