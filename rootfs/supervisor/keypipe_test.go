package supervisor

import (
	"bufio"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/config/pairkey"
)

// withKey returns a supervisor whose pair key is in a file.
func withKey(t *testing.T, key [pairkey.Size]byte) *Supervisor {
	t.Helper()
	dir := t.TempDir()
	s := New(Config{Log: slog.New(slog.DiscardHandler),
		Folders: Folders{Home: "/run/role", Keys: filepath.Join(dir, "keys")}})
	s.paths.keyFile = filepath.Join(dir, "pair.key")
	if err := pairkey.Create(s.paths.keyFile, key); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoleGetsItsKeysAndTheirChanges(t *testing.T) {
	first, second := pairkey.New(), pairkey.New()
	s := withKey(t, first)
	for range 2 { // a role that ended is started again
		reader, err := s.openKeyPipe()
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(reader)
		expect := func(key [pairkey.Size]byte) {
			t.Helper()
			line, err := lines.ReadString('\n')
			if want := strings.TrimSpace(string(pairkey.Format(key))); err != nil || !strings.Contains(line, want) {
				t.Errorf("got %q, %v, want the key %s", line, err, want)
			}
		}
		expect(first)
		use, err := pairkey.Change(s.paths.keyFile, s.Folders.Keys, second, time.Now(), time.Hour)
		if err == nil {
			err = s.changeKeys(use)
		}
		if err != nil {
			t.Fatal(err)
		}
		expect(second)
		s.closeKeyPipe()
		if line, err := lines.ReadString('\n'); err == nil {
			t.Errorf("after the role ended: got %q, want the end", line)
		}
		reader.Close()
		first, second = second, pairkey.New()
	}
	if err := s.changeKeys(pairkey.Use{}); err != nil {
		t.Errorf("a role that does not run: %v", err)
	}
}

func TestRoleThatHasEndedDoesNotBlockAChangeOfKeys(t *testing.T) {
	s := withKey(t, pairkey.New())
	reader, err := s.openKeyPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer s.closeKeyPipe()
	reader.Close()
	if err := s.changeKeys(pairkey.Use{Memory: "aa"}); err != nil {
		t.Errorf("got %v, want nil: its next start gets them", err)
	}
}

func TestMissingPairKeyIsAnError(t *testing.T) {
	s := withKey(t, pairkey.New())
	s.paths.keyFile += ".missing"
	if _, err := s.openKeyPipe(); err == nil {
		t.Error("got no error")
	}
}
