package client

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

func nodes(n int) (items []ReadItem) {
	for i := range n {
		items = append(items, ReadItem{rawvalue.NodeID{Namespace: 1, Number: uint32(i)}, ua.AttributeIDValue})
	}
	return items
}

// collect reads, checks the order, and gives the values' text: a number, or a status.
func collect(t *testing.T, s *Session, items []ReadItem) []string {
	t.Helper()
	var got []string
	err := s.Read(t.Context(), items, 0, func(i int, dv rawvalue.DataValue) {
		if i != len(got) {
			t.Errorf("got value %d, want %d", i, len(got))
		}
		if n, ok := integer(dv.Value); ok {
			got = append(got, fmt.Sprint(n))
		} else {
			got = append(got, codeName(dv.Status))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOneOddValueCostsThatValue(t *testing.T) {
	deep := []byte{1}
	for range 120 {
		deep = append(deep, byte(ua.TypeIDVariant))
	}
	deep = append(deep, 1, 1)
	for name, test := range map[string]struct {
		odd  []byte
		want string
	}{
		"malformed":       {[]byte{1, 63}, "StatusBadDecodingError"},
		"nested too deep": {deep, "StatusBadEncodingLimitsExceeded"},
		"a length too large": {append([]byte{1, byte(ua.TypeIDByteString)}, 0xfe, 0xff, 0xff, 0x7f),
			"StatusBadEncodingLimitsExceeded"},
		"cut short": {[]byte{1, byte(ua.TypeIDDouble), 1, 2, 3}, "StatusBadDecodingError"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				s := f.connect()
				const bad = 333
				f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
					list := readNodes(c)
					b := appendUint32(nil, uint32(len(list)))
					for _, n := range list {
						if n.Number == bad {
							return append(b, test.odd...), 0
						}
						b = append(b, f.value(n)...)
					}
					return appendUint32(b, nullLength), 0
				})
				for i, got := range collect(t, s, nodes(1000)) {
					want := fmt.Sprint(i)
					if i == bad {
						want = test.want
					}
					if got != want {
						t.Errorf("value %d: got %s, want %s", i, got, want)
					}
				}
				if s.Err() != nil {
					t.Errorf("got %v, want the session to go on", s.Err())
				}
				if n := f.Count(id.ReadRequest_Encoding_DefaultBinary); n > 25 {
					t.Errorf("got %d requests, want at most 25", n)
				}
			})
		})
	}
}

func TestReadAdaptsToServersThatTakeFewOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			if list := readNodes(c); len(list) <= 10 {
				return f.read(list), 0
			}
			return nil, ua.StatusBadTooManyOperations
		})
		s := f.connect()
		if got := collect(t, s, nodes(200)); len(got) != 200 || got[199] != "199" {
			t.Errorf("got %d values, want 200", len(got))
		}
		if n := s.batches.read.size(); n > 10 || n < 5 {
			t.Errorf("got batches of %d, want it learned", n)
		}
	})
}

func TestReadRefusesAnotherNumberOfResults(t *testing.T) {
	for _, change := range []int{-1, 1, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			s := f.connect()
			f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
				list := readNodes(c)
				b := appendUint32(nil, uint32(len(list)+change))
				for range min(len(list)+change, 100) {
					b = append(b, 0)
				}
				return b, 0
			})
			for _, got := range collect(t, s, nodes(4)) {
				if got != "StatusBadDecodingError" && got != "StatusBadEncodingLimitsExceeded" {
					t.Errorf("got %s, want a value that says that it cannot be read", got)
				}
			}
		})
	}
}

func TestReadKeepsFewRequestsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		f.on(id.ReadRequest_Encoding_DefaultBinary, func(call) ([]byte, ua.StatusCode) { return nil, 0 })
		before := f.Count(id.ReadRequest_Encoding_DefaultBinary)
		go s.Read(t.Context(), nodes(10_000), 0, func(int, rawvalue.DataValue) {})
		synctest.Wait()
		if n := f.Count(id.ReadRequest_Encoding_DefaultBinary) - before; n != defaultInFlight {
			t.Errorf("got %d requests, want %d", n, defaultInFlight)
		}
	})
}

func TestFaultsOfOtherKindsAreErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		f.on(id.ReadRequest_Encoding_DefaultBinary, func(call) ([]byte, ua.StatusCode) {
			return nil,
				ua.StatusBadUserAccessDenied
		})
		err := s.Read(t.Context(), nodes(3), 0, func(int, rawvalue.DataValue) {})
		want := &Error{Service: "Read", Code: ua.StatusBadUserAccessDenied,
			Reason: advice(ua.StatusBadUserAccessDenied)}
		if !reflect.DeepEqual(err, want) || s.Err() != nil {
			t.Errorf("got %v, session %v; want %v, and the session goes on", err, s.Err(), want)
		}
	})
}

func TestServerThatIsTooSlowForABatchGetsSmallerOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			if list := readNodes(c); len(list) <= 100 { // the server's state is read too
				return f.read(list), 0
			}
			return nil, 0
		})
		if got := collect(t, s, nodes(1000)); len(got) != 1000 || got[999] != "999" {
			t.Errorf("got %d values, want 1000", len(got))
		}
		if n := s.batches.read.size(); n > 100 || s.Err() != nil {
			t.Errorf("got batches of %d and %v, want it learned and the session to go on", n, s.Err())
		}
	})
}
