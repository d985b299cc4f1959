package opcua

import (
	"testing"
)

func TestEventRoundTrip(t *testing.T) {
	b := AppendEvent(nil, 3, []byte("event"))
	if generation, event, err := ParseEvent(b); err != nil || string(event) != "event" || generation != 3 {
		t.Errorf("got %d %q, %v", generation, event, err)
	}
	if _, _, err := ParseEvent(b[:3]); err == nil {
		t.Error("an event that was cut was read")
	}
}
