package uart

import "testing"

func TestAShortWordWaitsForTheSameQueueAsALongOne(t *testing.T) {
	const shortWord = 132
	for _, c := range []struct {
		name   string
		queued int
		full   bool
	}{
		{"an empty queue", 0, false},
		{"a short word", shortWord, false},
		{"a short word and a part of one", shortWord + 1, false},
		{"a long word", longestWord, false},
		{"two short words", 2 * shortWord, true},
		{"a long word and a part of one", longestWord + 1, true},
	} {
		if got := full(c.queued); got != c.full {
			t.Errorf("%s: full is %v, want %v", c.name, got, c.full)
		}
	}
}
