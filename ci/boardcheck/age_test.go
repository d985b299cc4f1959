package boardcheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// oldest is how long the kernel or the firmware of a release may stay behind the newest
// module (SECURITY.md states it).
const oldest = 90 * 24 * time.Hour

// module is what the go command says of one that go.mod pins; Update is the newest, if
// that is another.
type module struct {
	Path, Version string
	Time          time.Time
	Update        *module
}

// behind says how far a module is behind, or "" while that is not too far.
func (m module) behind() string {
	if m.Update == nil || m.Update.Time.Sub(m.Time) <= oldest {
		return ""
	}
	return fmt.Sprintf("%s is of %s and its newest version of %s: go get %s@%s", m.Path, m.Time.Format(time.DateOnly),
		m.Update.Time.Format(time.DateOnly), m.Path, m.Update.Version)
}

// The registry is asked. Without one a person's machine skips this and says so; in CI,
// which installs its peers from registries anyway, a skip is a failure.
func TestKernelAndFirmwareAreNotBehind(t *testing.T) {
	said, err := exec.Command("go", "list", "-m", "-u", "-json", "github.com/gokrazy/kernel.rpi",
		"github.com/gokrazy/firmware").Output()
	if err != nil {
		var why string
		if e, ok := err.(*exec.ExitError); ok {
			why, _, _ = strings.Cut(string(e.Stderr), "\n")
		}
		t.Skipf("not proved: kernel and firmware are not behind their newest modules, because the registry does not "+
			"answer: %v: %s", err, why)
	}
	found := 0
	for d := json.NewDecoder(bytes.NewReader(said)); ; found++ {
		var m module
		if err := d.Decode(&m); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if m.Time.IsZero() {
			t.Errorf("%s %s has no date", m.Path, m.Version)
		}
		if why := m.behind(); why != "" {
			t.Error(why)
		}
	}
	if found != 2 {
		t.Errorf("the go command described %d modules, want 2", found)
	}
}

func TestAModuleMayNotStayBehind(t *testing.T) {
	then := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		newer *module
		want  bool
	}{
		"the newest":       {nil, false},
		"newer by 90 days": {&module{Time: then.Add(oldest)}, false},
		"newer by 91 days": {&module{Time: then.Add(oldest + 24*time.Hour)}, true},
	} {
		if why := (module{Time: then, Update: c.newer}).behind(); (why != "") != c.want {
			t.Errorf("%s: got %q, want a complaint: %t", name, why, c.want)
		}
	}
}
