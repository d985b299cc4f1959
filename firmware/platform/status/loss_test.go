package status

import (
	"strings"
	"testing"
	"time"
)

// step is one of the observations of an Observer.
type step struct {
	after  time.Duration
	change func(*Snapshot)
	want   string // the texts of the reasons
}

func checkSteps(t *testing.T, steps ...step) {
	t.Helper()
	var o Observer
	for _, c := range steps {
		s := well()
		c.change(&s)
		o.Observe(noon.Add(c.after), &s, nil)
		var got []string
		for _, r := range s.Trust.Reasons {
			got = append(got, r.Text)
		}
		if got := strings.Join(got, "; "); got != c.want {
			t.Errorf("after %v: got %q, want %q", c.after, got, c.want)
		}
	}
}

// missing has a channel miss records, of which so many may still come.
func missing(lost, unknown, open uint64, list ...Hole) func(*Snapshot) {
	return change("press", func(c *Channel) {
		c.Lost, c.Unknown, c.OpenRecords, c.Holes = &lost, &unknown, &open, list
	})
}

func TestRecordsThatDoNotComeAreAReasonForADay(t *testing.T) {
	const day = 24 * time.Hour
	hole := func(after time.Duration, final bool) Hole {
		return Hole{From: noon.Add(after), To: noon.Add(after + time.Second), Records: 5, Final: final}
	}
	for name, steps := range map[string][]step{
		"in no hole": {{0, missing(7, 2, 0), ""}, {time.Minute, missing(8, 2, 0), "1 record lost for good"},
			{2 * time.Minute, missing(8, 6, 0), "5 records lost for good"},
			{time.Minute + day, missing(8, 6, 0), "5 records lost for good"},
			{2*time.Minute + day, missing(8, 6, 0), ""},
			{2 * day, missing(9, 6, 0), "1 record lost for good"}},
		"of a hole that was open for two days": {
			{0, missing(5, 0, 5, hole(0, false)), "5 records missing, may still come"},
			{2 * day, missing(5, 0, 5, hole(0, false)), "5 records missing, may still come"},
			{2*day + time.Minute, missing(5, 0, 0, hole(0, true)), "5 records lost for good"},
			{3*day + time.Minute, missing(5, 0, 0, hole(0, true)), ""}},
		"of more holes than are shown": {{0, missing(0, 0, 0), ""},
			{time.Minute, missing(15, 0, 0, hole(0, true), hole(0, true)), "15 records lost for good"}},
		"of a hole before a restart": {{0, missing(5, 0, 0, hole(-time.Hour, true)), "5 records lost for good"},
			{23*time.Hour + time.Second, missing(5, 0, 0, hole(-time.Hour, true)), ""}},
		"of a hole before the clock was set back by hours": {
			{0, missing(5, 0, 0, hole(9*time.Hour, true)), "5 records lost for good"},
			{day - time.Second, missing(5, 0, 0, hole(9*time.Hour, true)), "5 records lost for good"},
			{day + time.Second, missing(5, 0, 0, hole(9*time.Hour, true)), ""}},
		"of a hole before the clock was set back by a year": {
			{0, missing(5, 0, 0, hole(365*day, true)), "5 records lost for good"},
			{day + time.Second, missing(5, 0, 0, hole(365*day, true)), ""},
			{365*day + time.Minute, missing(5, 0, 0, hole(365*day, true)), ""}},
		"of an outage that heals": {{0, missing(3, 1, 0), ""},
			{time.Minute, missing(3, 9, 8), "8 records missing, may still come"},
			{2 * time.Minute, missing(3, 5, 4), "4 records missing, may still come"},
			{3 * time.Minute, missing(3, 1, 0), ""}},
		"of an outage that heals in part": {{0, missing(3, 1, 0), ""},
			{time.Minute, missing(11, 1, 8), "8 records missing, may still come"},
			{2 * time.Minute, missing(6, 1, 1), "1 record missing, may still come; 2 records lost for good"},
			{3 * time.Minute, missing(6, 1, 0), "3 records lost for good"}},
		"that come after all": {{0, missing(9, 0, 0), ""}, {time.Minute, missing(14, 0, 0), "5 records lost for good"},
			{2 * time.Minute, missing(12, 0, 0), "3 records lost for good"}, {3 * time.Minute, missing(8, 0, 0), ""},
			{4 * time.Minute, missing(10, 0, 0), "2 records lost for good"}},
		"of which more may come than are missing": {{0, missing(0, 0, 2), "2 records missing, may still come"}},
	} {
		t.Run(name, func(t *testing.T) { checkSteps(t, steps...) })
	}
}

func TestALossIsCountedSinceTheFirstOfIt(t *testing.T) {
	var o Observer
	see := func(after time.Duration, trouble func(*Snapshot)) time.Duration {
		s := well()
		trouble(&s)
		o.Observe(noon.Add(after), &s, nil)
		return s.Trust.Since.Sub(noon)
	}
	see(0, missing(0, 0, 0))
	see(time.Hour, missing(1, 0, 0)) // in no hole
	hole := Hole{From: noon.Add(2 * time.Hour), To: noon.Add(2 * time.Hour), Records: 4, Final: true}
	if got := see(3*time.Hour, missing(5, 0, 0, hole)); got != time.Hour {
		t.Errorf("got since %v, want the first loss", got)
	}
}

func TestALossBeforeTheClockWasSetBackIsNotDatedAhead(t *testing.T) {
	var o Observer
	s := well()
	missing(5, 0, 0, Hole{From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour), Records: 5, Final: true})(&s)
	if o.Observe(noon, &s, nil); !s.Trust.Since.Equal(noon) {
		t.Errorf("got since %v, want when it was found, %v", s.Trust.Since, noon)
	}
}

// A transmitter that restarts counts from zero again, and may have lost some by its first report.
func TestACountThatBeganAgainAboveZeroIsALoss(t *testing.T) {
	lost := func(n uint64) func(*Snapshot) {
		return change("cell", func(c *Channel) { c.Missed, c.MissedReason = &n, "lines" })
	}
	for name, steps := range map[string][]step{
		"fewer than before": {{0, lost(100), ""}, {time.Minute, lost(40), "40 records lost before the link: lines"}},
		"beside those before": {{0, lost(100), ""}, {time.Minute, lost(103), "3 records lost before the link: lines"},
			{2 * time.Minute, lost(40), "43 records lost before the link: lines"},
			{3 * time.Minute, lost(41), "44 records lost before the link: lines"}},
		"none yet": {{0, lost(100), ""}, {time.Minute, lost(0), ""}},
		"a snapshot that is overtaken": {{0, lost(100), ""},
			{time.Minute, lost(101), "1 record lost before the link: lines"},
			{time.Minute + time.Millisecond, lost(100), "1 record lost before the link: lines"},
			{30 * time.Second, lost(100), "1 record lost before the link: lines"}},
	} {
		t.Run(name, func(t *testing.T) { checkSteps(t, steps...) })
	}
}
