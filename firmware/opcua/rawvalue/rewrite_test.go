package rawvalue

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswersKeepWhatWasAskedFor(t *testing.T) {
	const (
		source, server = "01 00 00 00 00 00 00 00", "02 00 00 00 00 00 00 00"
		all            = "3f 03 2a 00 00 90 40" + source + "e7 03" + server + "0f 27"
	)
	for name, c := range map[string]struct {
		value  string
		answer Answer
		want   string
	}{
		"both": {all, Answer{Timestamps: ua.TimestampsToReturnBoth}, all},
		"source": {all, Answer{Timestamps: ua.TimestampsToReturnSource},
			"17 03 2a 00 00 90 40" + source + "e7 03"},
		"server": {all, Answer{Timestamps: ua.TimestampsToReturnServer},
			"2b 03 2a 00 00 90 40" + server + "0f 27"},
		"neither": {all, Answer{Timestamps: ua.TimestampsToReturnNeither},
			"03 03 2a 00 00 90 40"},
		"a server time is not replaced": {all, Answer{Timestamps: ua.TimestampsToReturnServer, ServerTime: 9},
			"2b 03 2a 00 00 90 40" + server + "0f 27"},
		"an absent server time is put in": {"05 03 2a" + source,
			Answer{Timestamps: ua.TimestampsToReturnBoth, ServerTime: 2}, "0d 03 2a" + source + server},
		"without its picoseconds": {"21 03 2a 0f 27",
			Answer{Timestamps: ua.TimestampsToReturnBoth, ServerTime: 2}, "09 03 2a" + server},
		"but not when not asked for": {"05 03 2a" + source,
			Answer{Timestamps: ua.TimestampsToReturnSource, ServerTime: 2}, "05 03 2a" + source},
		"worse status is put in": {"05 03 2a" + source, Answer{Overlay: ua.StatusUncertainLastUsableValue},
			"07 03 2a 00 00 90 40" + source},
		"worse status replaces": {"03 03 2a 00 00 90 40", Answer{Overlay: ua.StatusBadNoCommunication},
			"03 03 2a 00 00 31 80"},
		"bad stays with its own code": {"02 00 00 34 80", Answer{Overlay: ua.StatusBadNoCommunication},
			"02 00 00 34 80"},
		"uncertain does not soften bad": {"02 00 00 34 80", Answer{Overlay: ua.StatusUncertainLastUsableValue},
			"02 00 00 34 80"},
		"encoded good stays":       {"03 03 2a 00 00 00 00", Answer{}, "03 03 2a 00 00 00 00"},
		"good does not hide bits":  {"03 03 2a 80 04 00 00", Answer{}, "03 03 2a 80 04 00 00"},
		"overflow":                 {"01 03 2a", Answer{Overflow: true}, "03 03 2a 80 04 00 00"},
		"overflow beside a status": {"03 03 2a 00 00 90 40", Answer{Overflow: true}, "03 03 2a 80 04 90 40"},
		"reserved bits stay": {"c1 03 2a", Answer{Timestamps: ua.TimestampsToReturnNeither},
			"c1 03 2a"},
		"invalid TimestampsToReturn is none": {all, Answer{Timestamps: ua.TimestampsToReturnInvalid},
			"03 03 2a 00 00 90 40"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := SkimDataValue(unhex(t, c.value), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := d.Append(nil, c.answer), unhex(t, c.want); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

func TestAnAnswerMayCarryAnotherVariant(t *testing.T) {
	d, _ := SkimDataValue(unhex(t, "03 86 02 00 00 00 01 00 00 00 02 00 00 00 00 00 90 40"), Limits{})
	part := unhex(t, "86 01 00 00 00 02 00 00 00")
	if got, want := d.AppendWith(nil, Answer{}, part),
		unhex(t, "03 86 01 00 00 00 02 00 00 00 00 00 90 40"); !bytes.Equal(got, want) {
		t.Errorf("part: got %x, want %x", got, want)
	}
	if got, want := d.AppendWith(nil, Answer{}, nil), unhex(t, "02 00 00 90 40"); !bytes.Equal(got, want) {
		t.Errorf("no value: got %x, want %x", got, want)
	}
	got := AppendStatus(nil, ua.StatusBadWaitingForInitialData,
		Answer{Timestamps: ua.TimestampsToReturnBoth, ServerTime: 2})
	if want := unhex(t, "0a 00 00 32 80 02 00 00 00 00 00 00 00"); !bytes.Equal(got, want) {
		t.Errorf("status: got %x, want %x", got, want)
	}
	if got := (DataValue{}).Append(nil, Answer{}); !bytes.Equal(got, []byte{0}) {
		t.Errorf("zero DataValue: got %x, want 00", got)
	}
}
