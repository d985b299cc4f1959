package opcua

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestArrivalsKnowWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arrivals{}
		missing := func(want ...uint32) {
			t.Helper()
			got, _ := a.missing(10)
			if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
				t.Errorf("got %v missing, want %v", got, want)
			}
		}
		items := []item{{handle: 3}, {handle: 7}}
		a.expect(items)
		missing(3, 7)
		at := time.Unix(5, 0)
		a.mark(3, false, []byte("x"), at)
		missing(7)
		time.Sleep(3 * time.Second)
		if _, since := a.missing(10); since != 3*time.Second {
			t.Errorf("got %v without an arrival, want 3s", since)
		}
		if got, newest := a.timeOf(3, []byte("x")); !newest || !got.Equal(at) {
			t.Errorf("got %v, %v, want the time of the newest payload", got, newest)
		}
		if _, newest := a.timeOf(3, []byte("y")); newest {
			t.Error("got another payload for the newest one")
		}
		a.untouch(items)
		a.mark(7, true, []byte("z"), time.Time{})
		if a.touchedSince(3) || !a.touchedSince(7) || a.isBad(3) || !a.isBad(7) {
			t.Error("got another variable touched or Bad, want 7 alone")
		}
		missing()
		a.expect(items)
		missing() // they have a value
		a.forgetArrivals()
		a.expect(items)
		missing(3, 7)
		a.forget(7)
		missing(3)
	})
}

func TestArrivalsOfRefusedValues(t *testing.T) {
	a := &arrivals{}
	a.refuse(2, 100, []byte("status"), time.Time{}, 0)
	if !a.isRefused(2) || a.isBad(2) || a.isRefused(1) {
		t.Error("want 2 refused, and not Bad at the server")
	}
	a.mark(2, false, []byte("small"), time.Time{})
	if a.isRefused(2) {
		t.Error("want 2 not refused any more")
	}
}
