package main

import (
	"reflect"
	"testing"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/platform/counter"
)

// Drivers know no firmware, so nothing but their tags joins them to package counter.
func TestEveryCounterOfTheMediaIsShown(t *testing.T) {
	for _, counts := range []any{udp.Counts{}, ethernet.Refusals{}, uart.LineErrors{}} {
		got, want := len(counter.Of("medium", "", counts).Values), reflect.TypeOf(counts).NumField()
		if got != want {
			t.Errorf("%T: got %d counters, want %d", counts, got, want)
		}
	}
}
