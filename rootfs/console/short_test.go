package console

import (
	"fmt"
	"strings"
	"testing"
)

// TestAShortScreenKeepsWhatMatters gives it less and less room.
func TestAShortScreenKeepsWhatMatters(t *testing.T) {
	names := func(s Status, lines int) string {
		var list []string
		for _, line := range Short(s, Size{80, lines}) {
			if name, _, _ := strings.Cut(line, " "); name != "" {
				list = append(list, name)
			}
		}
		return strings.Join(list, " ")
	}
	for lines, want := range map[int]string{
		20: "HELIOGRAPH STATE LINK TIME NET REL TX NOTE CERT HEAL CHAN CHAN OUT",
		12: "HELIOGRAPH STATE LINK TX NOTE CERT HEAL CHAN CHAN OUT",
		8:  "STATE LINK CERT CHAN CHAN OUT",
		5:  "STATE LINK CHAN CHAN OUT",
		1:  "STATE",
	} {
		t.Run(fmt.Sprint(lines), func(t *testing.T) {
			if got := names(rx(), lines); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	for lines := range 40 {
		for _, columns := range []int{40, 80, 200} {
			got := Short(crowded(), Size{columns, lines})
			if len(got) > lines {
				t.Errorf("got %d lines, want at most %d", len(got), lines)
			}
			for _, line := range got {
				if len(line) >= columns {
					t.Errorf("got a line of %d characters, want less than %d: %q", len(line), columns, line)
				}
			}
		}
	}
}
