package task_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"heliograph/firmware/platform/task"
)

func TestAReasonIsOneLineThatNamesItsPartOnce(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"plain":              {errors.New("silent for 5s"), "link: silent for 5s"},
		"names its part":     {errors.New("link: silent for 5s"), "link: silent for 5s"},
		"names another part": {errors.New("linkage: off"), "link: linkage: off"},
		"several lines":      {errors.Join(errors.New("a"), fmt.Errorf("b\nc")), "link: a; b; c"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := task.NewReason("link", c.err).String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReasonsAreALineEach(t *testing.T) {
	got := task.Reasons{{Part: "a", Cause: "x"}, {Part: "b", Cause: "y"}}.Lines()
	if want := []string{"a: x", "b: y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := task.Reasons(nil).Lines(); got == nil || len(got) != 0 {
		t.Errorf("of none: got %#v, want an empty list", got)
	}
}
