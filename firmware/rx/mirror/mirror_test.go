package mirror

import (
	"fmt"
	"testing"

	"heliograph/firmware/conduit/record"
)

// scene is a channel and what it delivered.
type scene struct {
	*Channel
	got       []string
	valueless int // of them
}

// Begin starts the next epoch.
func (s *scene) Begin(fromStart bool) { s.Channel.Begin(s.Channel.epoch+1, fromStart) }

func newScene() *scene {
	s := &scene{}
	s.Channel = New(func(u Update) {
		if u.Valueless {
			s.valueless++
		}
		word := "state"
		switch {
		case u.Delete && u.Event:
			word = "clear"
		case u.Delete:
			word = "gone"
		case u.Event:
			word = "event"
		}
		s.got = append(s.got, fmt.Sprintf("%s %s=%s", word, u.Key, u.Payload))
	})
	s.Begin(true)
	return s
}

func (s *scene) event(seq uint64) {
	s.Update(&record.Update{Seq: seq, Event: true, Payload: fmt.Append(nil, seq)})
}

func (s *scene) set(seq, created uint64, key, value string) {
	s.Update(&record.Update{Seq: seq, Created: created, Key: []byte(key), Payload: []byte(value)})
}

func (s *scene) del(seq, created uint64, key string) {
	s.Update(&record.Update{Seq: seq, Created: created, Key: []byte(key), Delete: true})
}

// page sends one page; entries are (key, value, seq, created).
func (s *scene) page(t *testing.T, p record.Page, entries ...record.Entry) {
	t.Helper()
	b := record.AppendPage(nil, &p)
	run := record.Run{Created: p.From}
	for i := range entries {
		b = run.AppendEntry(b, &entries[i])
	}
	var back record.Page
	if err := back.Parse(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Page(&back); err != nil {
		t.Fatal(err)
	}
}

func entry(key, value string, seq, created uint64) record.Entry {
	return record.Entry{Seq: seq, Created: created, Key: []byte(key), Payload: []byte(value)}
}

func (s *scene) totals(seq uint64) { s.Totals(&record.Totals{Seq: seq, State: record.SourceUp}) }

func (s *scene) expect(t *testing.T, counts Counts, complete bool, delivered ...string) {
	t.Helper()
	st := s.Status()
	if st.Counts != counts || st.Complete != complete {
		t.Errorf("got %+v, complete %v; want %+v, complete %v", st.Counts, st.Complete, counts, complete)
	}
	if fmt.Sprint(s.got) != fmt.Sprint(delivered) {
		t.Errorf("delivered %q, want %q", s.got, delivered)
	}
}

func TestKeysOfEarlierRunAreRemovedOrRedelivered(t *testing.T) {
	s := newScene()
	s.Recall([][]byte{[]byte("gone"), []byte("still")})
	s.Range(func(key, _ []byte) bool { t.Errorf("%q is in the state without a value", key); return true })
	s.set(1, 1, "still", "1")
	s.totals(1)
	s.page(t, record.Page{Last: true, Seq: 1, To: 1}, entry("still", "1", 1, 1))
	s.expect(t, Counts{Delivered: 1}, true, "state still=1", "gone gone=")
}

// A transmitter that starts again may have a newer time for a value that is the same.
func TestStatesHaveTheSourcesTime(t *testing.T) {
	s := newScene()
	at := func() (time int64) {
		s.States(func(_, _ []byte, t int64) bool { time = t; return true })
		return time
	}
	for _, want := range []int64{5, 6} {
		s.Begin(true)
		s.Update(&record.Update{Seq: 1, Created: 1, Time: want, Key: []byte("a"), Payload: []byte("1")})
		if got := at(); got != want {
			t.Errorf("the time is %d, want %d", got, want)
		}
	}
	if len(s.got) != 2 {
		t.Errorf("delivered %q, want the value twice: its time is newer", s.got)
	}
}

// change is the creation of a key and its new value.
type change struct {
	created uint64
	value   string
}

func (s *scene) batch(t *testing.T, seq uint64, changes ...change) {
	t.Helper()
	body, run := record.AppendBatch(nil, 0, seq), record.Run{}
	for _, c := range changes {
		body = run.AppendChange(body, c.created, 0, []byte(c.value))
	}
	var b record.Batch
	if err := b.Parse(body); err != nil {
		t.Fatal(err)
	}
	if err := s.Batch(&b); err != nil {
		t.Fatal(err)
	}
}

// late returns a scene that received the channel's totals after number seq.
func late(seq uint64) *scene {
	s := newScene()
	s.Begin(false)
	s.totals(seq)
	return s
}

func (s *scene) expectState(t *testing.T, want string) {
	t.Helper()
	got := map[string]string{}
	s.Range(func(key, payload []byte) bool { got[string(key)] = string(payload); return true })
	if fmt.Sprint(got) != want {
		t.Errorf("state: got %v, want %s", got, want)
	}
}
