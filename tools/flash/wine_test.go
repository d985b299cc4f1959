//go:build linux && amd64

package flash

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Where Debian has Wine.
const (
	wineProgram = "/usr/lib/wine/wine64"
	wineServer  = "/usr/lib/wine/wineserver64"
	wineFiles   = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
)

// TestWindowsBuildWritesFiles runs some of this package's tests as Windows would: built for
// it, under Wine. What they show is the target that is a plain file; Wine has no card.
func TestWindowsBuildWritesFiles(t *testing.T) {
	if _, err := os.Stat(wineProgram); err != nil {
		t.Skip("not proved: the Windows build writes and reads back a plain file, because wine64 is not installed")
	}
	program := filepath.Join(t.TempDir(), "flash.test.exe")
	build := exec.Command("go", "test", "-c", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building for Windows: %v\n%s", err, said)
	}
	env := append(os.Environ(), "WINEDEBUG=-all", "WINEPREFIX="+winePrefix(t))
	t.Cleanup(func() {
		stop := exec.Command(wineServer, "-k")
		stop.Env = env
		_ = stop.Run() // one that has ended by itself
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, wineProgram, program, "-test.v", "-test.run",
		"^(TestPlainFileBecomesTheImage|TestPairSharesAKeyAndNothingElse|TestWindowsNames|TestMacNames)$")
	run.Env = env
	said, err := run.CombinedOutput()
	if passed := strings.Count(string(said), "--- PASS"); err != nil || passed != 4 {
		t.Errorf("got %v and %d tests passed, want 4:\n%s", err, passed, said)
	}
}

// winePrefix makes the folder that Windows is for Wine. One that Wine makes itself has 700
// MB of copies.
func winePrefix(t *testing.T) string {
	t.Helper()
	prefix := t.TempDir()
	system := filepath.Join(prefix, "drive_c", "windows", "system32")
	devices := filepath.Join(prefix, "dosdevices")
	for _, dir := range []string{system, devices} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(wineFiles)
	if err != nil {
		t.Fatal(err)
	}
	links := map[string]string{filepath.Join(devices, "c:"): "../drive_c", filepath.Join(devices, "z:"): "/"}
	for _, f := range files {
		links[filepath.Join(system, f.Name())] = filepath.Join(wineFiles, f.Name())
	}
	for name, to := range links {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	random := filepath.Join(system, "bcryptprimitives.dll")
	if _, err := os.Stat(random); err != nil { // Wine before 9
		if err := os.WriteFile(random, forwarder("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036"),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(prefix, ".update-timestamp"), []byte("disable"), 0o600); err != nil {
		t.Fatal(err)
	}
	return prefix
}

// forwarder is a library of Windows without code, whose one function is that of another
// library: the random numbers that Go asks for under their newer name.
func forwarder(name, function, to string) []byte {
	const address, offset, optional = 0x1000, 0x200, 240 // of the one section; bytes of the optional header
	le := binary.LittleEndian
	exports := make([]byte, offset)
	end := 52
	text := func(field int, s string) {
		le.PutUint32(exports[field:], uint32(address+end))
		end += copy(exports[end:], s) + 1
	}
	for field, v := range map[int]uint32{16: 1, 20: 1, 24: 1, 28: address + 40, 32: address + 44, 36: address + 48} {
		le.PutUint32(exports[field:], v) // first ordinal, counts; then the tables of 4, 4 and 2 bytes
	}
	text(12, name)
	text(44, function)
	text(40, to)

	b := make([]byte, offset)
	copy(b, "MZ")
	b[60] = 64
	head := b[64:]
	copy(head, "PE\x00\x00\x64\x86\x01") // AMD64, one section
	le.PutUint16(head[20:], optional)
	le.PutUint16(head[22:], 0x2022) // executable, large addresses, library
	o := head[24:]
	le.PutUint16(o, 0x20B)
	le.PutUint64(o[24:], 0x180000000) // image base
	for field, v := range map[int]uint32{8: offset, 20: address, 32: 0x1000, 36: offset, 40: 6, 48: 6, 56: 2 * address,
		60: offset, 68: 3, 108: 16, 112: address, 116: uint32(end)} {
		le.PutUint32(o[field:], v)
	}
	s := o[optional:]
	copy(s, ".edata")
	for field, v := range map[int]uint32{8: offset, 12: address, 16: offset, 20: offset, 36: 0x40000040} {
		le.PutUint32(s[field:], v)
	}
	return append(b, exports...)
}
