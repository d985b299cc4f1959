package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/status"
)

// signer is the same in each run.
func signer(t *testing.T, seed byte) minisign.PrivateKey {
	t.Helper()
	_, private, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// sealed makes an update file.
func sealed(t *testing.T, k minisign.PrivateKey, change func(*release.Manifest)) []byte {
	t.Helper()
	kernel, root := bytes.Repeat([]byte("kernel"), 100), bytes.Repeat([]byte("root"), 300_000)
	m := release.Manifest{Role: "tx", Board: "cm4", Version: 8, Name: "v8", Arguments: "quiet",
		Files: []release.Part{release.PartOf("vmlinuz", kernel)}, Root: release.PartOf("root", root)}
	change(&m)
	var b bytes.Buffer
	if err := release.Seal(&b, m, k, kernel, root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asItIs(*release.Manifest) {}

// board makes the state of a board that runs release 7.
func board(t *testing.T, change func(*release.State)) (folder, file string) {
	t.Helper()
	public, err := signer(t, 1).Public().(minisign.PublicKey).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	s := release.State{Running: release.Running{Version: 7, Name: "v7"}, Role: "tx", Board: "cm4", Key: string(public),
		Floor: 6}
	change(&s)
	folder = t.TempDir()
	file = filepath.Join(folder, "release.json")
	b, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder, file
}

// fake is a disk of so many bytes that stops at a call.
type fake struct {
	realDisk
	left   int64
	calls  int
	stopAt int  // call that fails, and all after it; 0: none
	power  bool // what fails is the power: nothing is cleaned up after it
	wrote  int64
}

var errStopped = errors.New("stopped")

func (f *fake) call() error {
	if f.calls++; f.stopAt > 0 && (f.calls == f.stopAt || f.power && f.calls > f.stopAt) {
		return errStopped
	}
	return nil
}

func (f *fake) create(path string) (file, error) {
	if err := f.call(); err != nil {
		return nil, err
	}
	inner, err := f.realDisk.create(path)
	return &fakeFile{inner, f}, err
}

func (f *fake) rename(from, to string) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.realDisk.rename(from, to)
}

func (f *fake) stopped() bool { return f.stopAt > 0 && f.calls >= f.stopAt }

func (f *fake) remove(path string) error {
	if f.power && f.stopped() {
		return errStopped
	}
	return f.realDisk.remove(path)
}

func (f *fake) free(string) (int64, error) { return f.left - f.wrote, nil }

type fakeFile struct {
	file
	disk *fake
}

func (f *fakeFile) Write(b []byte) (int, error) {
	if err := f.disk.call(); err != nil {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, err
	}
	if f.disk.wrote += int64(len(b)); f.disk.wrote > f.disk.left {
		return 0, syscall.ENOSPC
	}
	return f.file.Write(b)
}

func (f *fakeFile) Sync() error { return f.disk.call() }

func TestUpdateIsRefusedBeforeAByteIsStored(t *testing.T) {
	good, other := signer(t, 1), signer(t, 2)
	whole := sealed(t, good, asItIs)
	flipped := bytes.Clone(whole)
	flipped[200] ^= 1
	for _, tt := range []struct {
		name  string
		file  []byte
		size  int64 // -1: not declared; 0: as it is
		state func(*release.State)
		free  int64
		code  int
		want  string
	}{
		{name: "another file", file: bytes.Repeat([]byte("PK\x03\x04"), 1<<18), code: 422, want: "not an update file"},
		{name: "empty", code: 422, want: "not an update file"},
		{name: "cut in the manifest", file: whole[:100], code: 422, want: "ends in its manifest"},
		{name: "a bit of the manifest", file: flipped, code: 422, want: "signature"},
		{name: "another key", file: sealed(t, other, asItIs), code: 422, want: "is signed with key"},
		{name: "no key on this image", file: whole, state: func(s *release.State) { s.Key = "" }, code: 409,
			want: "accepts no update"},
		{name: "a card without sets", file: whole, state: func(s *release.State) { s.Fault = "no set" }, code: 409,
			want: "no set"},
		{name: "another role", file: sealed(t, good, func(m *release.Manifest) { m.Role = "rx" }), code: 422,
			want: "for rx on cm4"},
		{name: "another board", file: sealed(t, good, func(m *release.Manifest) { m.Board = "rpi4b" }), code: 422,
			want: "for tx on rpi4b"},
		{name: "older than the card has had", file: sealed(t, good, func(m *release.Manifest) { m.Version = 5 }),
			code: 409, want: "has had 6"},
		{name: "the one that runs", file: sealed(t, good, func(m *release.Manifest) { m.Version = 7 }), code: 409,
			want: "runs release 7 already"},
		{name: "while one is on trial", file: whole, state: func(s *release.State) { s.OnTrial = true }, code: 409,
			want: "on trial"},
		{name: "another size than its manifest's", file: whole, size: 160 << 20, code: 422, want: "its manifest says"},
		{name: "no room beside state", file: whole, free: stateReserve + int64(len(whole)) - 1, code: 507,
			want: "are kept for state"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.state == nil {
				tt.state = func(*release.State) {}
			}
			if tt.size == 0 {
				tt.size = int64(len(tt.file))
			}
			if tt.free == 0 {
				tt.free = 1 << 30
			}
			folder, state := board(t, tt.state)
			d := &fake{left: tt.free}
			read := &counted{from: bytes.NewReader(tt.file)}
			err := openUpdates(folder, state, d).Receive(read, tt.size)
			var r *status.Refusal
			if !errors.As(err, &r) || r.Status != tt.code || !strings.Contains(r.Reason, tt.want) ||
				strings.Contains(r.Reason, "\n") {
				t.Errorf("got %v, want %d with %q in one line", err, tt.code, tt.want)
			}
			if d.calls != 0 {
				t.Errorf("got %d calls to the disk, want none", d.calls)
			}
			if most := 20 << 10; read.n > most {
				t.Errorf("%d bytes were read, want at most %d", read.n, most)
			}
		})
	}
	if err := openUpdates(t.TempDir(), "/none", &fake{}).Receive(bytes.NewReader(whole), -1); err == nil {
		t.Error("an update was taken before PID 1 said what runs")
	}
}

type counted struct {
	from io.Reader
	n    int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += n
	return n, err
}

// left returns what is in the folder of updates.
func left(t *testing.T, folder string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(folder, "update"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestUpdateAppearsWholeOrNotAtAll(t *testing.T) {
	whole := sealed(t, signer(t, 1), asItIs)
	damaged, longer := bytes.Clone(whole), append(bytes.Clone(whole), 0)
	damaged[len(damaged)-5] ^= 1
	folder, state := board(t, func(*release.State) {})
	u := openUpdates(folder, state, &fake{left: 1 << 30})
	for name, c := range map[string]struct {
		from io.Reader
		code int
	}{
		"cut off": {bytes.NewReader(whole[:len(whole)-9]), 422},
		"a broken reader": {io.MultiReader(bytes.NewReader(whole[:2000]),
			iotest.ErrReader(errors.New("connection reset"))), 422},
		"too slow": {io.MultiReader(bytes.NewReader(whole[:2000]), iotest.ErrReader(os.ErrDeadlineExceeded)),
			408},
		"a part damaged":  {bytes.NewReader(damaged), 422},
		"a byte too many": {bytes.NewReader(longer), 422},
	} {
		var r *status.Refusal
		if err := u.Receive(c.from, -1); !errors.As(err, &r) || r.Status != c.code {
			t.Errorf("%s: got %v, want a refusal with %d", name, err, c.code)
		}
		if got := left(t, folder); len(got) != 0 {
			t.Errorf("%s: got %v, want nothing left", name, got)
		}
		if got := u.Running().Update; got == nil || got.Result != release.Refused || got.Version != 8 {
			t.Errorf("%s: got %+v, want the refusal to be shown", name, got)
		}
	}
	if err := u.Receive(bytes.NewReader(whole), int64(len(whole))); err != nil {
		t.Fatal(err)
	}
	if err := u.Receive(bytes.NewReader(whole), int64(len(whole))); err == nil {
		t.Error("one that waits was replaced")
	}
	if got, err := os.ReadFile(filepath.Join(folder, "update", "incoming")); !bytes.Equal(got, whole) || err != nil {
		t.Errorf("got %d bytes, %v; want all of it", len(got), err)
	}
}

// A stranger's file does not replace what is shown of the last update.
func TestRefusedSignatureIsNoOutcome(t *testing.T) {
	folder, state := board(t, func(s *release.State) { s.Update = &release.Outcome{Version: 7, Result: release.Kept} })
	u := openUpdates(folder, state, &fake{left: 1 << 30})
	if err := u.Receive(bytes.NewReader(sealed(t, signer(t, 2), asItIs)), -1); err == nil {
		t.Fatal("a stranger's file was taken")
	}
	if got := u.Running(); got.Version != 7 || got.Update == nil || got.Update.Result != release.Kept {
		t.Errorf("got %+v, want release 7 and the update kept", got)
	}
}

// The disk fails, or the power does, at each of its calls in turn: what is left after a
// restart is the whole file or nothing.
func TestPowerCutAndFullDiskLeaveRoomToStart(t *testing.T) {
	whole := sealed(t, signer(t, 1), asItIs)
	for _, power := range []bool{false, true} {
		for at := 1; ; at++ {
			folder, state := board(t, func(*release.State) {})
			d := &fake{left: 1 << 30, stopAt: at, power: power}
			err := openUpdates(folder, state, d).Receive(bytes.NewReader(whole), -1)
			if err == nil {
				if at < 5 {
					t.Errorf("power %t: only %d calls to the disk", power, at)
				}
				break
			}
			if !power {
				for _, name := range left(t, folder) {
					if name != "incoming" {
						t.Errorf("call %d failed: got %v left", at, name)
					}
				}
			}
			openUpdates(folder, state, realDisk{}) // the next start
			for _, name := range left(t, folder) {
				got, _ := os.ReadFile(filepath.Join(folder, "update", name))
				if name != "incoming" || !bytes.Equal(got, whole) {
					t.Errorf("power %t, call %d: got %s of %d bytes after a restart, want all or nothing", power, at,
						name, len(got))
				}
			}
		}
	}
}

func TestDiskThatFillsUpMeanwhile(t *testing.T) {
	whole := sealed(t, signer(t, 1), asItIs)
	for name, at := range map[string]int64{"before its end": int64(len(whole)) / 2, "in its head": 10} {
		folder, state := board(t, func(*release.State) {})
		d := &fake{left: stateReserve + int64(len(whole))}
		u := openUpdates(folder, state, d)
		var r *status.Refusal
		err := u.Receive(io.MultiReader(bytes.NewReader(whole[:at]), filler{d}, bytes.NewReader(whole[at:])), -1)
		if !errors.As(err, &r) || r.Status != http.StatusInsufficientStorage {
			t.Errorf("%s: got %v, want %d", name, err, http.StatusInsufficientStorage)
		}
		if got := left(t, folder); len(got) != 0 {
			t.Errorf("%s: got %v, want nothing left", name, got)
		}
	}
}

// filler is somebody else who fills the disk when it is read.
type filler struct{ disk *fake }

func (f filler) Read([]byte) (int, error) {
	f.disk.left = 0
	return 0, io.EOF
}

func TestOnlyOneUpdateIsStoredAtATime(t *testing.T) {
	whole := sealed(t, signer(t, 1), asItIs)
	folder, state := board(t, func(*release.State) {})
	u := openUpdates(folder, state, &fake{left: 1 << 30})
	from, to := io.Pipe()
	first := make(chan error, 1)
	go func() { first <- u.Receive(from, -1) }()
	if _, err := to.Write(whole[:5000]); err != nil {
		t.Fatal(err)
	}
	if err := u.Receive(bytes.NewReader(whole), -1); err == nil || !strings.Contains(err.Error(), "on its way") {
		t.Errorf("got %v, want the second refused", err)
	}
	// One that has not shown a signature blocks no other.
	to.CloseWithError(os.ErrDeadlineExceeded)
	if err := <-first; err == nil {
		t.Error("half a file was taken")
	}
	stranger, _ := io.Pipe()
	go func() { _ = u.Receive(stranger, -1) }()
	if err := u.Receive(bytes.NewReader(whole), -1); err != nil {
		t.Errorf("beside one without a signature: got %v, want it taken", err)
	}
	_ = stranger.CloseWithError(errors.New("the test ends"))
}

func TestOutcomeIsNotedOnce(t *testing.T) {
	at := time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)
	folder, state := board(t, func(s *release.State) {
		s.Update = &release.Outcome{Time: at, Version: 8, Name: "v8", Result: release.RolledBack, Reason: "state stuck"}
	})
	u := openUpdates(folder, state, &fake{})
	var got []string
	for range 3 {
		u.Note(func(kind, text string) { got = append(got, kind+": "+text) })
	}
	want := []string{"update_went_back: update to release 8 v8: rolled back, at 2026-11-23T17:00:00Z: state stuck"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
