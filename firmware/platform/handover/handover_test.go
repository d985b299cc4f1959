package handover_test

import (
	"strings"
	"testing"

	"heliograph/firmware/platform/handover"
)

func TestDescriptor(t *testing.T) {
	if _, ok, err := handover.Descriptor(handover.Link); ok || err != nil {
		t.Errorf("variable not set: got %v, %v; want false, nil", ok, err)
	}
	for s, good := range map[string]bool{"3": true, "17": true, "2": false, "-1": false, "": false, "x": false} {
		t.Setenv(handover.Link, s)
		if n, ok, err := handover.Descriptor(handover.Link); ok != good || (err == nil) != good || good && n < 3 {
			t.Errorf("%q: got %d, %v, %v", s, n, ok, err)
		}
	}
}

func TestSettingIsReadBack(t *testing.T) {
	name, value, _ := strings.Cut(handover.Setting(handover.Keys, 4), "=")
	t.Setenv(name, value)
	if n, ok, err := handover.Descriptor(handover.Keys); n != 4 || !ok || err != nil {
		t.Errorf("got %d, %v, %v; want 4", n, ok, err)
	}
}
