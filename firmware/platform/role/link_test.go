package role

import "testing"

func TestHandedLink(t *testing.T) {
	if _, ok, err := HandedLink(); ok || err != nil {
		t.Errorf("nothing is handed: got %v, %v", ok, err)
	}
	for s, good := range map[string]bool{"3": true, "17": true, "2": false, "-1": false, "": false, "x": false} {
		t.Setenv(linkVariable, s)
		if n, ok, err := HandedLink(); ok != good || (err == nil) != good || good && n < 3 {
			t.Errorf("%q: got %d, %v, %v", s, n, ok, err)
		}
	}
}
