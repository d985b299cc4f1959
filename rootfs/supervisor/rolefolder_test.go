package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// card writes files below the card's folder.
func (r *rig) card(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(r.Folders.Card, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoleFindsItsConfigurationAndItsState(t *testing.T) {
	r := newRig(t, "tx", validTX)
	r.card(t, map[string]string{"tls/broker.key": "a key", "pki/own.der": "made with the card"})
	for range 2 { // it is called before every start
		if err := r.prepareFolders(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(r.Folders.Home, "tls/broker.key"))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("got %v, %v; want a key with mode 0400", info, err)
	}
	if got, err := os.Readlink(filepath.Join(r.Folders.Home, "state")); got != r.Folders.State || err != nil {
		t.Errorf("state: got %q, %v; want %q", got, err, r.Folders.State)
	}
}

func TestRoleKeepsItsIdentity(t *testing.T) {
	r := newRig(t, "tx", validTX)
	r.card(t, map[string]string{"pki/own.der": "made with the card"})
	own := filepath.Join(r.Folders.State, "pki", "own.der")
	expect := func(want string) {
		t.Helper()
		if err := r.prepareFolders(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(own); string(got) != want || err != nil {
			t.Errorf("identity: got %q, %v; want %q", got, err, want)
		}
	}
	expect("made with the card")
	if err := os.WriteFile(own, []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("newer")
}

func TestIdentityIsCopiedCompletelyAfterAPowerCut(t *testing.T) {
	r := newRig(t, "tx", validTX)
	r.card(t, map[string]string{"pki/own.der": "made with the card"})
	part := filepath.Join(r.Folders.State, "pki.part") // of a copy that a power cut ended
	if err := os.MkdirAll(part, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(part, "half.der"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.prepareFolders(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.Folders.State, "pki", "own.der")); err != nil {
		t.Error(err)
	}
	for _, left := range []string{part, filepath.Join(r.Folders.State, "pki", "half.der")} {
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v, want none", left, err)
		}
	}
}

func TestFilesBelongToTheRoleButNotThePairKey(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not proved: the role owns its files, because giving them away needs root")
	}
	r := newRig(t, "tx", validTX)
	r.User = 1000
	r.card(t, map[string]string{"pki/own.der": "made with the card"})
	if err := r.prepareFolders(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.readConfiguration(); err != nil {
		t.Fatal(err)
	}
	reader, err := r.openKeyPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.closeKeyPipe()
	defer reader.Close()
	for path, want := range map[string]uint32{
		filepath.Join(r.Folders.Home, configurationFile): 1000,
		r.Folders.State: 1000,
		filepath.Join(r.Folders.State, "pki", "own.der"): 1000,
		filepath.Join(r.Folders.Home, "pair.key"):        0,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
			t.Errorf("%s: got the owner %d, want %d", path, got, want)
		}
	}
}
