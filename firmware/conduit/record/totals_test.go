package record

import (
	"strings"
	"testing"
)

func TestReasonIsCutAtARune(t *testing.T) {
	var back Totals
	tot := Totals{Seq: 1, Reason: strings.Repeat("é", MaxReason)}
	if err := back.Parse(tot.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("é", MaxReason/2); back.Reason != want {
		t.Errorf("got %d bytes, want %d", len(back.Reason), len(want))
	}
}
