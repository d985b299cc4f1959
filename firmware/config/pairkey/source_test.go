package pairkey

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/platform/handover"
)

// handing returns a source that is handed what is written.
func handing(t *testing.T, first func(*os.File)) (*Source, *os.File, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	fd, err := syscall.Dup(int(r.Fd())) // the source owns its descriptor
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	name, value, _ := strings.Cut(handover.Setting(handover.Keys, fd), "=")
	t.Setenv(name, value)
	first(w)
	s, err := Open("/none", "/none")
	return s, w, err
}

func TestKeysAreHandedDownAndChanged(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	first, second := New(), New()
	give := func(u Use) func(*os.File) {
		return func(w *os.File) {
			if err := u.Hand(w); err != nil {
				t.Error(err)
			}
		}
	}
	s, w, err := handing(t, give(Use{Key: first, Memory: "aa"}))
	if err != nil {
		t.Fatal(err)
	}
	if u, _, err := s.Use(now); err != nil || u.Key != first || u.Old != nil || u.Memory != "aa" {
		t.Errorf("at the start: got %+v, %v", u, err)
	}
	give(Use{Key: second, Old: &first, Until: now.Add(time.Hour), Memory: "aa", Replaced: "bb"})(w)
	await.NoError(t, "the keys change", func() error {
		if u, _, _ := s.Use(now); u.Key != second || u.Old == nil || *u.Old != first || u.Replaced != "bb" {
			return fmt.Errorf("got %+v", u)
		}
		return nil
	})
	if u, _, _ := s.Use(now.Add(time.Hour)); u.Key != second || u.Old != nil {
		t.Errorf("when the time is over: got %+v", u)
	}
}

func TestKeysThatAreNotHandedAreAnError(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "noise": "noise\n", "no end": "{}",
		"too long": strings.Repeat("x", 5000), "no memory": "{\"key\": \"" + strings.TrimSpace(string(Format(New()))) +
			"\"}\n"} {
		_, _, err := handing(t, func(w *os.File) {
			_, _ = w.WriteString(text)
			w.Close()
		})
		if err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}
