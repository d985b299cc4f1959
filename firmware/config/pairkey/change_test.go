package pairkey

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAChangeOfTheKey(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1_800_000_000, 0)
	file, state := filepath.Join(dir, "pair.key"), filepath.Join(dir, "state")
	first, second, third := New(), New(), New()
	if err := Create(file, first); err != nil {
		t.Fatal(err)
	}
	check := func(when string, at time.Time, key [Size]byte, old *[Size]byte, memory, replaced string) {
		t.Helper()
		u, warning, err := InUse(file, state, at)
		if err != nil || warning != nil {
			t.Fatalf("%s: %v, %v", when, err, warning)
		}
		if u.Key != key || u.Memory != memory || u.Replaced != replaced || (u.Old == nil) != (old == nil) ||
			old != nil && *u.Old != *old {
			t.Errorf("%s: got %+v", when, u)
		}
	}
	change := func(key [Size]byte, at time.Time) {
		t.Helper()
		if _, err := Change(file, state, key, at, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	put := func(key [Size]byte) {
		t.Helper()
		if err := os.WriteFile(file, Format(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check("before", now, first, nil, ID(first), "")
	change(second, now)
	check("at once", now, second, &first, ID(first), "")
	check("when the time is over", now.Add(time.Hour), second, nil, ID(first), "")
	if _, err := Change(file, state, second, now, time.Hour); err == nil {
		t.Error("the key in use, again: got nil, want an error")
	}
	later := now.Add(2 * time.Hour)
	change(third, later)
	check("a second change", later, third, &second, ID(first), "")
	put(third)
	check("the key file has it too", later, third, &second, ID(third), ID(first))
	put(New())
	if u, _, _ := InUse(file, state, later); u.Old != nil || u.Key == third {
		t.Errorf("another key file: got %+v, want it alone", u)
	}
	put(first)
	if err := os.WriteFile(filepath.Join(state, changeFile), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if u, warning, err := InUse(file, state, later); err != nil || warning == nil || u.Key != first {
		t.Errorf("a damaged change: got %+v, %v, %v", u, warning, err)
	}
}
