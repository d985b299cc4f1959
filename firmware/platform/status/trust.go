package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"heliograph/firmware/platform/text"
)

// Our own bounds.
const (
	// MaxReasons is how many reasons a verdict has.
	MaxReasons = 20
	maxReason  = 300 // bytes of one, some of which a peer says

	// behindAfter is how long more records may wait for a peer that is up than come in that
	// time, before they are late.
	behindAfter = 10 * time.Second
	// goneFor is how long the loss of records is a reason after the last of it.
	goneFor = 24 * time.Hour
)

// Level says how far the numbers can be trusted.
type Level string

// The levels, best first.
const (
	Yes    Level = "yes"    // all is here, and new
	Partly Level = "partly" // what is shown is right; some of it is missing or late, or its times may be wrong
	No     Level = "no"     // what is shown is old, or may be wrong
)

// Trust answers whether the numbers can be trusted now. At TX it is about what leaves
// the board: TX never learns what arrives.
type Trust struct {
	Level    Level         `json:"level"`    // "yes", "partly" or "no"
	Sentence string        `json:"sentence"` // for a person
	Since    time.Time     `json:"since"`    // that it is so
	Reasons  []TrustReason `json:"reasons"`  // worst first, MaxReasons at most; not nil
}

// TrustReason is one reason why the numbers cannot be trusted fully.
type TrustReason struct {
	Kind    Kind      `json:"kind,omitempty"` // for programs; "": how many further reasons there are
	Channel string    `json:"channel"`        // "": all channels
	Text    string    `json:"text"`           // in words
	Since   time.Time `json:"since"`          // when it began
}

var sentences = map[string]map[Level]string{
	"rx": {
		Yes:    "The numbers can be trusted.",
		Partly: "What is shown is right, but some of it is missing or late.",
		No:     "The numbers cannot be trusted now.",
	},
	"tx": {
		Yes:    "All that the plant sends leaves this side.",
		Partly: "Some of what the plant sends does not leave this side.",
		No:     "What leaves this side cannot be trusted now.",
	},
}

// only has the sentences when the only reason is that TX's clock is not set, as values are
// what the plant gave, or that the disk does not keep what has come.
var only = map[Kind]map[string]string{
	KindClock: {
		"rx": "The numbers are right, but their times may be wrong.",
		"tx": "All that the plant sends leaves this side, but its times may be wrong.",
	},
	KindState: {
		"rx": "The numbers are right, but a restart loses some of them: the disk does not keep all.",
		"tx": "All that the plant sends leaves this side, but a restart loses some of it: the disk does not keep all.",
	},
}

// found is what is remembered of a fact.
type found struct {
	first  time.Time // of those in a row; when the count began to grow
	seen   bool      // in this judgement
	grew   time.Time // last; zero: not yet
	count  uint64
	at     time.Time // when count was seen
	gained uint64    // since first
}

// trusting judges snapshots of one role, in their order, and remembers since when each
// reason holds. The zero value is ready.
type trusting struct {
	known  map[string]*found // by kind, channel and which of them
	yesFor time.Time         // since then; zero: there are reasons
	// final holes that were dated after the clock, which was set back: when they were found
	ahead map[datedHole]time.Time
}

// datedHole is a hole of a channel.
type datedHole struct {
	channel  string
	from, to int64 // ns since 1970
}

// judge returns the verdict on a snapshot.
func (t *trusting) judge(now time.Time, s *Snapshot) *Trust {
	if t.known == nil {
		t.known = map[string]*found{}
	}
	var holding []Fact
	ahead := map[datedHole]time.Time{}
	for _, f := range facts(now, s) {
		if f.Kind == KindLost {
			t.ofHoles(now, &f, s.Channels[f.Channel].Holes, ahead)
		}
		if t.holds(now, &f) {
			holding = append(holding, f)
		}
	}
	for key, k := range t.known {
		if !k.seen {
			delete(t.known, key)
		}
		k.seen = false
	}
	t.ahead = ahead
	v := &Trust{Level: Yes, Reasons: []TrustReason{}}
	if len(holding) > 0 {
		t.yesFor = time.Time{}
	} else if t.yesFor.IsZero() {
		t.yesFor = now
	}
	v.Since = byClock(now, t.yesFor)
	v.add(holding)
	v.Sentence = sentences[s.Role][v.Level]
	if len(holding) == 1 {
		v.Sentence = cmp.Or(only[holding[0].Kind][s.Role], v.Sentence)
	}
	return v
}

// add adds the reasons and what follows from them.
func (v *Trust) add(holding []Fact) {
	slices.SortStableFunc(holding, func(a, b Fact) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), a.Since.Compare(b.Since)) // "no" before "partly"
	})
	for i, f := range holding {
		if i == 0 {
			v.Level, v.Since = f.Level, f.Since
		}
		if i == MaxReasons-1 && len(holding) > MaxReasons {
			v.Reasons = append(v.Reasons, TrustReason{Since: f.Since,
				Text: fmt.Sprintf("and %d further reasons", len(holding)-i)})
			break
		}
		f.Text = text.Clip(f.Text, maxReason)
		v.Reasons = append(v.Reasons, f.TrustReason)
	}
}

// holds reports whether a fact is a reason now, and completes it.
func (t *trusting) holds(now time.Time, f *Fact) bool {
	key := string(f.Kind) + "/" + f.Channel + "/" + f.id
	k := t.known[key]
	if k == nil {
		k = &found{first: now}
		t.known[key] = k
		if f.count != nil && f.Kind != KindDamaged { // most damage is found at the start: it counts with the run
			k.count, k.at = *f.count, now // what earlier runs lost is not of late
		}
	}
	k.seen = true
	if f.count != nil {
		gained := k.grow(now, f)
		if max(gained, f.known) == 0 {
			return false
		}
		f.Text = fmt.Sprintf(f.Text, amount(max(gained, f.known), cmp.Or(f.noun, "record")))
		if first := byClock(now, k.first); gained > 0 && first.Before(f.Since) {
			f.Since = first
		}
	}
	if f.Since.IsZero() {
		f.Since = byClock(now, k.first)
	}
	return f.after == 0 || now.Sub(k.first) >= f.after
}

// ofHoles adds what final holes have lost of late, by their own time or since they were found, if
// that is longer ago: the clock may have been set back since, by any time. It notes in ahead those
// that are not over by now.
func (t *trusting) ofHoles(now time.Time, f *Fact, holes []Hole, ahead map[datedHole]time.Time) {
	for _, h := range holes { // newest first
		if !h.Final {
			continue
		}
		since, over := h.From, later(h.From, h.To)
		key := datedHole{f.Channel, h.From.UnixNano(), h.To.UnixNano()}
		first, noted := t.ahead[key]
		if !noted && over.After(now) {
			first, noted = now, true
		}
		if noted {
			ahead[key] = first
			if first = byClock(now, first); first.Before(over) {
				since, over = first, first
			}
		}
		if now.Sub(over) < goneFor {
			f.Since, f.known = since, f.known+h.Records
		}
	}
}

// grow notes the count of a fact, and returns by how much it has grown; 0: not of late.
func (k *found) grow(now time.Time, f *Fact) uint64 {
	if count := *f.count; !overtaken(now, count, k.at, k.count) {
		switch {
		case count < k.count && f.falls:
			k.gained -= min(k.gained, k.count-count)
			k.count = count
		case count < k.count: // it began again
			k.count = 0
		}
		if count > k.count {
			if k.late(now) == 0 {
				k.first, k.gained = now, 0
			}
			k.grew, k.gained = now, k.gained+count-k.count
		}
		k.count, k.at = count, now
	}
	return k.late(now)
}

// late is what was gained, 0 when that is long ago.
func (k *found) late(now time.Time) uint64 {
	if now.Sub(k.grew) < goneFor {
		return k.gained
	}
	return 0
}

// byClock is a time that this process noted, by the clock as it goes now: it may have been
// set since. The zero time stays.
func byClock(now, then time.Time) time.Time {
	if then.IsZero() {
		return then
	}
	return now.Add(then.Sub(now)).Round(0).UTC().Truncate(time.Second)
}
