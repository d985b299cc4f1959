package historyread

import (
	"slices"
	"testing"
	"time"

	"heliograph/firmware/opcua/uabinary"
)

// FuzzRawInParts: of any request and any history, responses of any size add up to the same
// values, each once, in the order of the domain, and a response has no more than the limit.
func FuzzRawInParts(f *testing.F) {
	f.Add([]byte{1, 2, 2, 5}, int64(0), int64(6), uint8(0), true, uint8(1))
	f.Add([]byte{1, 2, 2, 5}, int64(6), int64(1), uint8(2), true, uint8(3))
	f.Add([]byte{}, int64(-1), int64(1<<62), uint8(2), true, uint8(2))
	f.Add([]byte{9}, int64(1<<62), int64(-1), uint8(1), false, uint8(1))
	f.Fuzz(func(t *testing.T, history []byte, start, end int64, limit uint8, bounds bool, room uint8) {
		history = history[:min(len(history), 50)]
		slices.Sort(history)
		base := at("5:00")
		each := func(from, to time.Time, f func(time.Time, []byte) bool) error {
			list := slices.Clone(history)
			backward := from.After(to)
			if backward {
				slices.Reverse(list)
				from, to = to, from
			}
			for _, h := range list {
				if x := uabinary.Time(base + int64(h)); !x.Before(from) && !x.After(to) && !f(x, []byte{0}) {
					break
				}
			}
			return nil
		}
		place := func(t int64) int64 {
			if t < 0 {
				return 0 // not specified
			}
			return base + t
		}
		d := Domain{Start: place(start), End: place(end), Limit: uint32(limit)}
		if !d.Valid() {
			return
		}
		read := func(d Domain, room int) (list []int64) {
			r := Raw{Domain: d, Bounds: bounds}
			for more, parts := true, 0; more; parts++ {
				n := 0
				var err error
				more, err = r.Read(each, func(at int64, _ []byte) bool {
					list = append(list, at)
					n++
					return n < room
				})
				if err != nil || parts > 200 || n > room || d.Limit > 0 && n > int(d.Limit) {
					t.Fatalf("part %d of %d values: %v", parts, n, err)
				}
			}
			return list
		}
		whole := d
		if !d.open() {
			whole.Limit = 0
		}
		want, got := read(whole, 1000), read(d, int(room)+1)
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if d.backward() {
			slices.Reverse(want)
		}
		if !slices.IsSorted(want) {
			t.Errorf("not in order: %v", want)
		}
	})
}
