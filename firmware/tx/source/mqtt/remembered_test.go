package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"heliograph/firmware/platform/store"
)

func newRemembered(path string) *remembered {
	return &remembered{path: path, log: slog.New(slog.DiscardHandler)}
}

func TestTopicsAndFiltersAreRememberedOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topics")
	r := newRemembered(path)
	r.saveFilters([]string{"b/#", "a/+"})
	r.saveTopics([]string{"b", "a/ä"})
	r = newRemembered(path)
	if got := fmt.Sprint(r.topics(), r.filters()); got != "[a/ä b] [a/+ b/#]" {
		t.Errorf("got %s, want both of each", got)
	}
	r.saveTopics(nil)
	if r = newRemembered(path); len(r.topics()) != 0 || len(r.filters()) != 2 {
		t.Errorf("got %q and %q, want no topic and the filters", r.topics(), r.filters())
	}
}

// TestAFileOfTopicsAlone has a file as releases wrote it that kept no filters.
func TestAFileOfTopicsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topics")
	if err := store.Write(path, []byte("\x01a\x03b/c")); err != nil {
		t.Fatal(err)
	}
	if r := newRemembered(path); fmt.Sprint(r.topics()) != "[a b/c]" || len(r.filters()) != 0 {
		t.Errorf("got %q and %q, want the topics", r.topics(), r.filters())
	}
}

func TestTheFileOfTopicsAndFilters(t *testing.T) {
	l := lists{topicList: []string{"a", "b/c"}, filterList: []string{"#"}}
	want := "\x02\x00#\x01a\x03b/c"
	if got := string(l.encode()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for cut := range len(want) { // of a damaged file what is well-formed counts
		got := decodeLists([]byte(want[:cut]))
		if len(got.topicList) > 2 || len(got.filterList) > 1 {
			t.Errorf("of %d bytes: got %+v", cut, got)
		}
	}
}

// TestTopicsOfAnEarlierRunAreAskedFor checks that a topic is asked for by its name,
// although the link shows nothing of it.
func TestTopicsOfAnEarlierRunAreAskedFor(t *testing.T) {
	s, _ := testSource(t)
	s.remembered = *newRemembered(filepath.Join(t.TempDir(), "topics"))
	s.remembered.saveTopics([]string{"b", "a/ä"})
	s.retained.addShown(map[string]mark{"c": {}})
	known := s.knownTopics()
	var got []string
	for topic := range known {
		got = append(got, topic)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"a/ä", "b", "c"}) {
		t.Errorf("got %q, want a/ä, b and c", got)
	}
}

// TestTopicsOfAnEarlierRunOutliveAShortConnection loses the first connection of a run before
// all was read: what crossed in it, and in earlier runs, has yet to be asked for.
func TestTopicsOfAnEarlierRunOutliveAShortConnection(t *testing.T) {
	s, _ := testSource(t)
	path := filepath.Join(t.TempDir(), "topics")
	s.remembered = *newRemembered(path)
	s.remembered.saveTopics([]string{"a", "b"})
	s.retained.addShown(map[string]mark{"b": {}, "c": {}})
	f := newFeed(s)
	defer f.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	<-s.keepReading(ctx, f, mode{version: version5})
	if got := newRemembered(path).topics(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q, want those of both runs", got)
	}
	s.retained.setComplete()
	<-s.keepReading(ctx, f, mode{version: version5})
	if got := newRemembered(path).topics(); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("once all was read: got %q, want what the broker has", got)
	}
}
