package historyread

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// at returns a time of the day in the examples of OPC 10000-11 Table 1; "" is not specified.
func at(text string) int64 {
	if text == "" {
		return 0
	}
	layout := "15:04"
	if strings.Count(text, ":") == 2 {
		layout = "15:04:05"
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		panic(err)
	}
	return uabinary.Ticks(t.AddDate(2024, 0, 0))
}

// store yields entries with these times, in the order that is asked for.
func store(times ...string) Source {
	return func(from, to time.Time, f func(time.Time, []byte) bool) error {
		list, backward := slices.Clone(times), from.After(to)
		if backward {
			slices.Reverse(list)
			from, to = to, from
		}
		for _, text := range list {
			if t := uabinary.Time(at(text)); !t.Before(from) && !t.After(to) && !f(t, []byte{0}) {
				return nil
			}
		}
		return nil
	}
}

// text writes an entry: its time, with FIRST or LAST for a bound that was not found.
func text(t int64, dataValue []byte) string {
	clock := strings.TrimSuffix(uabinary.Time(t).Format("15:04:05"), ":00")
	clock = strings.TrimPrefix(clock, "0")
	if dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{}); err == nil &&
		dv.Status == ua.StatusBadBoundNotFound {
		return "none@" + clock
	}
	return clock
}

// The rows of OPC 10000-11 Table 1. "none" is FIRST or LAST, a bound that was not found.
var table1 = []struct {
	start, end string
	limit      uint32
	bounds     bool
	want       string
	more       bool
}{
	{"5:00", "5:05", 0, true, "5:00 5:02 5:03 5:05", false},
	{"5:00", "5:05", 0, false, "5:00 5:02 5:03", false},
	{"5:01", "5:04", 0, true, "5:00 5:02 5:03 5:05", false},
	{"5:01", "5:04", 0, false, "5:02 5:03", false},
	{"5:05", "5:00", 0, true, "5:05 5:03 5:02 5:00", false},
	{"5:05", "5:00", 0, false, "5:05 5:03 5:02", false},
	{"5:04", "5:01", 0, true, "5:05 5:03 5:02 5:00", false},
	{"5:04", "5:01", 0, false, "5:03 5:02", false},
	{"4:59", "5:05", 0, true, "none@4:59 5:00 5:02 5:03 5:05", false},
	{"4:59", "5:05", 0, false, "5:00 5:02 5:03", false},
	{"5:01", "5:07", 0, true, "5:00 5:02 5:03 5:05 5:06 none@5:07", false},
	{"5:01", "5:07", 0, false, "5:02 5:03 5:05 5:06", false},
	{"5:00", "5:05", 3, true, "5:00 5:02 5:03", true},
	{"5:00", "5:05", 3, false, "5:00 5:02 5:03", false},
	{"5:01", "5:04", 3, true, "5:00 5:02 5:03", true},
	{"5:01", "5:04", 3, false, "5:02 5:03", false},
	{"5:05", "5:00", 3, true, "5:05 5:03 5:02", true},
	{"5:05", "5:00", 3, false, "5:05 5:03 5:02", false},
	{"5:04", "5:01", 3, true, "5:05 5:03 5:02", true},
	{"5:04", "5:01", 3, false, "5:03 5:02", false},
	{"4:59", "5:05", 3, true, "none@4:59 5:00 5:02", true},
	{"4:59", "5:05", 3, false, "5:00 5:02 5:03", false},
	{"5:01", "5:07", 3, true, "5:00 5:02 5:03", true},
	{"5:01", "5:07", 3, false, "5:02 5:03 5:05", true},
	{"5:00", "", 3, true, "5:00 5:02 5:03", false},
	{"5:00", "", 3, false, "5:00 5:02 5:03", false},
	{"5:00", "", 6, true, "5:00 5:02 5:03 5:05 5:06 none@5:06:01", false},
	{"5:00", "", 6, false, "5:00 5:02 5:03 5:05 5:06", false},
	{"5:07", "", 6, true, "5:06 none@5:06:01", false},
	{"5:07", "", 6, false, "", false},
	{"", "5:06", 3, true, "5:06 5:05 5:03", false},
	{"", "5:06", 3, false, "5:06 5:05 5:03", false},
	{"", "5:06", 6, true, "5:06 5:05 5:03 5:02 5:00 none@4:59:59", false},
	{"", "5:06", 6, false, "5:06 5:05 5:03 5:02 5:00", false},
	{"", "4:48", 6, true, "5:00 none@4:59:59", false},
	{"", "4:48", 6, false, "", false},
	{"4:48", "4:48", 0, true, "none@4:48 5:00", false},
	{"4:48", "4:48", 0, false, "", false},
	{"4:48", "4:48", 1, true, "none@4:48", true},
	{"4:48", "4:48", 1, false, "", false},
	{"4:48", "4:48", 2, true, "none@4:48 5:00", false},
	{"5:00", "5:00", 0, true, "5:00 5:02", false},
	{"5:00", "5:00", 0, false, "5:00", false},
	{"5:00", "5:00", 1, true, "5:00", true},
	{"5:00", "5:00", 1, false, "5:00", false},
	{"5:01", "5:01", 0, true, "5:00 5:02", false},
	{"5:01", "5:01", 0, false, "", false},
	{"5:01", "5:01", 1, true, "5:00", true},
	{"5:01", "5:01", 1, false, "", false},
}

func (r *Raw) readAll(t *testing.T, each Source, room int) (list []string, parts int) {
	t.Helper()
	for more := true; more; parts++ {
		n := 0
		var err error
		more, err = r.Read(each, func(at int64, dv []byte) bool {
			list = append(list, text(at, dv))
			n++
			return n < room
		})
		if err != nil || parts > 1000 {
			t.Fatalf("part %d: %v", parts, err)
		}
		if r.Limit > 0 && n > int(r.Limit) {
			t.Errorf("a response has %d values, %d were allowed", n, r.Limit)
		}
	}
	return list, parts
}

func TestRawValuesAreThoseOfTable1(t *testing.T) {
	each := store("5:00", "5:02", "5:03", "5:05", "5:06")
	for _, row := range table1 {
		name := fmt.Sprintf("%s-%s,%d,%v", row.start, row.end, row.limit, row.bounds)
		t.Run(name, func(t *testing.T) {
			r := Raw{Domain: Domain{Start: at(row.start), End: at(row.end), Limit: row.limit}, Bounds: row.bounds}
			if !r.Valid() {
				t.Fatal("the domain is not valid")
			}
			var got []string
			more, err := r.Read(each, func(at int64, dv []byte) bool {
				got = append(got, text(at, dv))
				return true
			})
			if err != nil || strings.Join(got, " ") != row.want || more != row.more {
				t.Errorf("got %v, more %v, %v; want %s, more %v", got, more, err, row.want, row.more)
			}
		})
	}
}

// TestPartsAddUp: in responses of any size the same values come, each once.
func TestPartsAddUp(t *testing.T) {
	each := store("5:00", "5:02", "5:02", "5:02", "5:03", "5:05", "5:05", "5:06")
	for _, row := range table1 {
		for room := 1; room < 6; room++ {
			domain := Domain{Start: at(row.start), End: at(row.end), Limit: row.limit}
			whole := Raw{Domain: domain, Bounds: row.bounds}
			if !domain.open() {
				whole.Limit = 0
			}
			want, _ := whole.readAll(t, each, 1000)
			r := Raw{Domain: domain, Bounds: row.bounds}
			if got, _ := r.readAll(t, each, room); !slices.Equal(got, want) {
				t.Errorf("%+v in parts of %d: got %v, want %v", row, room, got, want)
			}
		}
	}
}

func TestEmptyHistoryHasNoBounds(t *testing.T) {
	for _, row := range table1 {
		r := Raw{Domain: Domain{Start: at(row.start), End: at(row.end), Limit: row.limit}, Bounds: row.bounds}
		if got, parts := r.readAll(t, store(), 10); len(got) > 0 || parts != 1 {
			t.Errorf("%+v: got %v in %d parts, want nothing in one", row, got, parts)
		}
	}
}

func TestTimesBeyondWhatCanBeWalked(t *testing.T) {
	each := store("5:00", "5:02")
	const far = 1<<63 - 1 // MaxValue
	for name, c := range map[string]struct {
		domain Domain
		want   string
	}{
		"until the end of time": {Domain{Start: at("4:00"), End: far}, "none@4:00 5:00 5:02 none@23:59:59"},
		"from the end of time":  {Domain{Start: far, End: at("5:01")}, "none@23:59:59 5:02 5:00"},
		"the end alone":         {Domain{End: far, Limit: 2}, "none@23:59:59 5:02"},
		"the same":              {Domain{Start: far, End: far}, "5:02 none@23:59:59"},
		"from the beginning":    {Domain{Start: 1, End: at("5:01")}, "none@0:00 5:00 5:02"},
		"to the beginning":      {Domain{Start: at("5:01"), End: 1}, "5:02 5:00 none@0:00"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Raw{Domain: c.domain, Bounds: true}
			if got, _ := r.readAll(t, each, 100); strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestADomainNeedsTwoOfThree(t *testing.T) {
	for _, c := range []struct {
		d    Domain
		want bool
	}{
		{Domain{}, false}, {Domain{Limit: 1}, false}, {Domain{Start: 1}, false}, {Domain{End: 1}, false},
		{Domain{Start: 1, End: 1}, true}, {Domain{Start: 1, Limit: 1}, true}, {Domain{End: 1, Limit: 1}, true},
	} {
		if got := c.d.Valid(); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.d, got, c.want)
		}
	}
}
