package mirror

import (
	"cmp"
	"math"
	"slices"

	"heliograph/firmware/rx/holes"
)

// Account is what a run hands on to the next.
type Account struct {
	Counts
	Before  uint64 // of Conflated, what earlier epochs contributed
	Next    uint64 // sequence number; 0: nothing of the channel arrived in this epoch
	Earlier uint64 // records of earlier epochs
	Excess  uint64 // of them, what the transmitter does not remember
	Gap     bool   // some of an earlier run's account is missing, and no totals since then had its number

	// Uncertain: an earlier run crashed, and nothing has arrived since: records from Next on
	// may have been delivered.
	Uncertain bool `json:",omitzero"`

	Epoch  uint64 `json:",omitzero"` // of Next; 0: none, or an account of an earlier release
	Last   int64  `json:",omitzero"` // when the last record arrived in its turn, ns since 1970
	Stated int64  `json:",omitzero"` // when totals last came
	Holes  []byte `json:",omitzero"` // package holes

	// Volatile is how many of Delivered a crash would lose in the sink, where they
	// wait for its peer or the disk, and Recent which ones. At an end in order: what the disk did not take.
	Volatile uint64 `json:",omitzero"`
	Recent   []Run  `json:",omitzero"`
}

// Run is records with successive numbers.
type Run struct{ Epoch, First, Records uint64 }

// Account returns the account as it stands. volatile is of Account; Holes has at most
// limit bytes.
func (c *Channel) Account(volatile uint64, limit int) Account {
	a := Account{
		Counts: c.Status().Counts, Before: c.before, Next: c.expect, Earlier: c.earlier, Excess: c.excess,
		Gap: !c.exact, Uncertain: c.uncertain, Epoch: c.epoch, Last: c.last, Stated: c.stated,
		Volatile: volatile, Recent: c.recent.newest(volatile),
	}
	if c.epoch == 0 { // nothing could arrive: the next run begins where this one would have
		r := &c.resumed
		a.Before, a.Next, a.Earlier, a.Epoch = r.Before, r.Next, r.Earlier, r.Epoch
		a.Gap, a.Uncertain = r.Gap, r.Uncertain
	}
	a.Holes = c.holes.Append(nil, limit)
	return a
}

// AppendHoles appends all of the channel's holes, as an Account has them.
func (c *Channel) AppendHoles(dst []byte) []byte { return c.holes.Append(dst, math.MaxInt) }

// Resume takes over the account of an earlier run, before the first Begin. exact
// is false after a crash: the run may have delivered more than it remembered. What was
// volatile may be gone, and is unknown.
func (c *Channel) Resume(a Account, exact bool) {
	c.resumed = a
	c.resumed.Holes, c.resumed.Recent = nil, nil // they are in holes
	c.counts, c.before, c.excess, c.last, c.stated = a.Counts, a.Conflated, a.Excess, a.Last, a.Stated
	c.end = holes.Position{Epoch: a.Epoch, Number: max(a.Next, 1)}
	delivered, err := c.holes.Parse(a.Holes) // damage: what is missing is final
	if err != nil {
		delivered = 0
	}
	c.counts.Unknown += c.withdraw(delivered)
	c.counts.Unknown += c.withdraw(a.Volatile)
	c.counts.Healed = min(c.counts.Healed, c.counts.reached())
	for _, r := range a.Recent {
		if r.Epoch > 0 && r.First > 0 && r.Records > 0 {
			c.holes.Add(r.Epoch, r.First, r.First+r.Records-1, true, a.Last, a.Last)
		}
	}
	c.earlier = c.counts.numbered() + c.before
	c.exact = exact && !a.Gap && !a.Uncertain
}

// Continue takes over the account of a run that Resume was called with, and that
// was of this very epoch, right after Begin.
func (c *Channel) Continue(a Account, exact bool) {
	c.before, c.earlier, c.exact = a.Before, a.Earlier, !a.Gap
	c.expect, c.uncertain = a.Next, !exact || a.Uncertain
	c.totals.Conflated = a.Conflated - a.Before
}

// recent are the records delivered last, newest last.
type recent struct{ runs []Run }

// Our own bounds.
const (
	maxRecent = 256 // runs
	maxKept   = 8   // of them in an account
)

func (r *recent) add(epoch, seq uint64) {
	if k := len(r.runs) - 1; k >= 0 {
		if last := &r.runs[k]; last.Epoch == epoch && last.First+last.Records == seq {
			last.Records++
			return
		}
	}
	if len(r.runs) == maxRecent {
		r.runs = append(r.runs[:0], r.runs[maxRecent/2:]...)
	}
	r.runs = append(r.runs, Run{epoch, seq, 1})
}

// newest returns the last n records, or as many as are known, longest run first.
// The shortest are left out where an account has no room.
func (r *recent) newest(n uint64) (list []Run) {
	for i := len(r.runs) - 1; i >= 0 && n > 0; i-- {
		run := r.runs[i]
		if run.Records > n {
			run.First, run.Records = run.First+run.Records-n, n
		}
		n -= run.Records
		list = append(list, run)
	}
	slices.SortFunc(list, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.First, b.First))
	})
	joined := list[:0]
	for _, run := range list {
		k := len(joined) - 1
		if k >= 0 && joined[k].Epoch == run.Epoch && joined[k].First+joined[k].Records == run.First {
			joined[k].Records += run.Records
			continue
		}
		joined = append(joined, run)
	}
	slices.SortStableFunc(joined, func(a, b Run) int { return cmp.Compare(b.Records, a.Records) })
	return joined[:min(len(joined), maxKept)]
}
