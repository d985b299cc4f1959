package users

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestChangedFileCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "users")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * checkEvery) // of the simulated clock
		}
		ann, joe := "ann:"+Hash("secret")+"\n", "joe:"+Hash("other")+"\n"
		write(ann)
		f, err := Open(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name, text string
			ann, joe   bool
		}{
			{"as opened", ann, true, false},
			{"one more", ann + joe, true, true},
			{"one less", joe, false, true},
			{"a fault keeps the users", "joe\n", false, true},
			{"corrected", ann, true, false},
		} {
			write(step.text)
			if f.Known("ann") != step.ann || f.Known("joe") != step.joe {
				t.Errorf("%s: got ann %t, joe %t; want %t, %t", step.name, f.Known("ann"), f.Known("joe"), step.ann,
					step.joe)
			}
			if got := f.Verify("joe", "other", here); got != step.joe {
				t.Errorf("%s: joe's password: got %t, want %t", step.name, got, step.joe)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * checkEvery)
		if !f.Known("ann") {
			t.Error("a file that is gone for a moment: got no users, want those of before")
		}
	})
}

// TestACorrectionThatKeepsTimeAndSizeCounts: a file that could not be used is read again until it can
// be, also where a restored time or a changed mode makes its correction look like what was there before.
func TestACorrectionThatKeepsTimeAndSizeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "users")
		when := time.Now()
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * checkEvery) // of the simulated clock
		}
		ann := "ann:" + Hash("secret") + "\n"
		both := ann + "joe:" + Hash("other") + "\n"
		write(ann)
		var log strings.Builder
		f, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for range 3 {
				write(strings.Repeat("x", len(both)))
				if !f.Verify("ann", "secret", here) || f.Known("joe") {
					t.Error("a fault did not keep the users of before")
				}
			}
			write(both)
			if !f.Verify("joe", "other", here) {
				t.Error("the correction does not count")
			}
			write(ann)
			if f.Known("joe") {
				t.Error("the change after it does not count")
			}
		}
		if n := strings.Count(log.String(), "not reloaded"); n != 2 {
			t.Errorf("two faults were logged %d times:\n%s", n, log.String())
		}
	})
}

func TestFileThatIsNotThere(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("got users from a file that is not there")
	}
}

func TestLoginsAreAudited(t *testing.T) {
	f, err := Open(file(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	f.Audit = func(kind, text string) { got = append(got, kind+": "+text) }
	f.Verify("anna", "correct horse", here)
	f.Verify("anna", "correct horse", here) // known now: not a new login
	f.Verify("anna", "wrong", here)
	f.Verify("my secret password", "", here)
	f.Verify("bob", strings.Repeat("x", maxPassword+1), here)
	want := []string{
		"login: user anna logged in, from 10.1.0.1",
		"login_refused: user anna: wrong password, from 10.1.0.1",
		"login_refused: a name that no user has: unknown user, from 10.1.0.1",
		"login_refused: user bob: name or password too long, from 10.1.0.1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
