package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// Whether a running role shows what is declared here, ci/e2e asks it.
func TestEveryCounterIsDeclaredAsShown(t *testing.T) {
	counters, faults, err := Counters(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	if len(counters) < 50 {
		t.Errorf("found %d counters, which cannot be all", len(counters))
	}
}

func TestCounterRulesCanFail(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"shown":       {"type Stats struct {\n\tLost uint64 `count:\"lost_lines\" help:\"Lines lost.\"`\n}\n", ""},
		"nested":      {"type Stats struct {\n\tInner innerCounts\n}\n", ""},
		"other types": {"type state struct{ lost uint64 }\n", ""},
		"no tag":      {"type Stats struct {\n\tLost uint64\n}\n", "Stats.Lost: a counter without a tag"},
		"embedded":    {"type Stats struct {\n\tstate\n}\n", "Stats.state: a counter without a tag"},
		"no help": {"type linkCounts struct {\n\tLost uint64 `count:\"lost_lines\"`\n}\n",
			"wants a name like noun_unit"},
		"odd name": {"type Stats struct {\n\tLost uint64 `count:\"Lost-1\" help:\"Lines lost.\"`\n}\n",
			"wants a name like noun_unit"},
		"two tags": {"type Stats struct {\n\tLost uint64 `count:\"lost_lines\" help:\"x\" shown:\"link.lost\"`\n}\n",
			"wants one of"},
		"two fields": {"type Stats struct {\n\tA, B uint64 `count:\"lost_lines\" help:\"Lines lost.\"`\n}\n",
			"two fields share"},
		"declared twice": {"type aStats struct {\n\tA uint64 `count:\"lost_lines\" help:\"Lines " +
			"lost.\"`\n}\n\ntype bStats struct {\n\tA uint64 `count:\"lost_lines\" help:\"Lines lost.\"`\n}\n",
			"same name and help"},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{"firmware/x/a.go": {
				Data: []byte("// Package x is a package.\npackage x\n\n" + c.text)}}
			_, faults, err := Counters(files)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(faults, "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
