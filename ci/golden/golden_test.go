package golden_test

import (
	"testing"

	"heliograph/ci/golden"
)

// recorder is a test that notes that it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (*recorder) Helper()                 {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestDifferenceIsFound(t *testing.T) {
	golden.Compare(t, "one.txt", []byte("one\n"))
	for name, file := range map[string]string{"other content": "one.txt", "no file": "none.txt"} {
		r := &recorder{TB: t}
		if golden.Compare(r, file, []byte("two\n")); !r.failed {
			t.Errorf("%s: not found", name)
		}
	}
}
