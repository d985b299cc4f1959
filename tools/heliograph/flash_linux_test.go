package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/flash"
)

func TestFlashUsage(t *testing.T) {
	faulty := filepath.Join(t.TempDir(), "tx.toml")
	if err := os.WriteFile(faulty, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args string
		code int
		want string
	}{
		"image without a target":   {"flash x.img", 2, "flash what to where"},
		"role without a target":    {"flash --role tx --board rpi4b", 2, "flash what to where"},
		"role without a board":     {"flash --role tx /tmp/x", 2, "--board is missing: name one of rpi4b, "},
		"pair without a board":     {"flash --pair --tx-config a --rx-config b c d", 2, "--board is missing"},
		"every board":              {"flash --help", 0, "zero2w"},
		"release 0":                {"flash --role tx --board virt --release 0 /tmp/x", 2, "whole numbers from 1"},
		"release x":                {"flash --role tx --board virt --release x /tmp/x", 2, "whole numbers from 1"},
		"image into no folder":     {"image --role tx --board virt -o /none/x", 1, "no file can be made in /none: no"},
		"image over a folder":      {"image --role tx --board virt -o /tmp", 1, "-o /tmp is not a file: name one"},
		"board that has no image":  {"flash --role tx --board pc /tmp/x", 2, "has no image"},
		"pair without a target":    {"flash --pair --board rpi4b --tx-config a --rx-config b", 2, "flash which pair"},
		"pair without files":       {"flash --pair --board rpi4b a b", 2, "flash which pair"},
		"replaced without its key": {"flash --replace tx --board virt --config a b", 2, "--key must be given as well"},
		"replaced without a file":  {"flash --replace tx --key k --board virt b", 2, "replace which card"},
		"replaced, no such role":   {"flash --replace mx --key k --board virt --config a b", 2, "neither tx nor rx"},
		"key of no pair":           {"flash --keep-key k --role tx --board virt /tmp/x", 2, "--keep-key is for --pair"},
		"pair and role":            {"flash --pair --role tx --board rpi4b a b", 2, "--role do not go together"},
		"faults":                   {"flash --role tx --board virt --config " + faulty + " /tmp/x", 78, "tx.toml:1: "},
		"three targets":            {"flash a b c", 2, "too many arguments"},
		"role that is none":        {"flash --role mx --board virt /tmp/x", 2, "neither tx nor rx"},
		"image that is missing":    {"flash /none.img /tmp/x", 1, "file not found"},
		"drive that is mistyped":   {"flash --role tx --board virt /dev/sdzz", 1, "/dev/sdzz is not a drive"},
		"configuration missing":    {"flash --role tx --board virt --config /none.toml /tmp/x", 78, "/none.toml"},
		"pair without its files": {"flash --pair --board virt --tx-config /none.toml --rx-config /none.toml " +
			"/tmp/x /tmp/y", 78, "/none.toml"},
		"image of a missing file": {"image --role tx --board virt --config /none.toml -o /tmp/x", 78, "/none.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "", strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
			if code == 1 && strings.Contains(stdout+stderr, "has faults") {
				t.Errorf("got %q, want faults only of a file that was read", stdout+stderr)
			}
		})
	}
}

func TestFlashMakesTheImageThatABoardBoots(t *testing.T) {
	dir := t.TempDir()
	name, card := filepath.Join(dir, "tx.toml"), filepath.Join(dir, "card")
	// The example is for a host: a board keeps its state on the data partition.
	before, state, _ := strings.Cut(config.MinimalTX(), "[state]")
	_, after, _ := strings.Cut(state, "\n\n")
	text := strings.Replace(before+after, "127.0.0.1:17000", "10.0.2.2:17000", 1) // a board cannot send to itself
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	t.Chdir("../..")
	code, stdout, stderr := call(t, "", "flash", "--role", "tx", "--board", "virt", "--config", name, card)
	if code != 0 || !strings.Contains(stdout, "read back and equal, with 2 files of configuration") {
		t.Fatalf("got %d, %q, %q; want it done", code, stdout, stderr)
	}
	mtype, err := exec.LookPath("mtype")
	if err != nil {
		t.Skip("not proved: others find the configuration on the card, because mtools is not installed")
	}
	got, err := exec.Command(mtype, "-i", card+"@@4M", "::heliograph/heliograph.toml").Output()
	if err != nil || string(got) != text {
		t.Errorf("got %q (%v), want the configuration", got, err)
	}
}

func TestDrivesAreListed(t *testing.T) {
	root := fstest.MapFS{"proc/self/mountinfo": {Data: []byte("1 1 8:0 / / rw - ext4 /dev/sda rw\n" +
		"2 1 8:17 / /media/card rw - vfat /dev/sdb1 rw\n")}, "proc/swaps": {}, "sys/block": {Mode: os.ModeDir}}
	list := func() string {
		var out strings.Builder
		if err := listDrives(&out, flash.Writer{Machine: flash.Linux{Root: root}}, false); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := list(); !strings.Contains(got, "put a card into a reader") {
		t.Errorf("got %q without a drive, want what to do", got)
	}
	for name, text := range map[string]string{
		"sda/size": "99", "sdb/size": "31116288", "sdb/removable": "1", "sdb/dev": "8:16",
		"sdb/device/model": "STORAGE DEVICE", "sdb/device/serial": "42",
		"sdb/sdb1/partition": "1", "sdc/removable": "1", "sdc/size": "31116288",
	} {
		root["sys/block/"+name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	root["sys/class/block/sdb1/dev"] = &fstest.MapFile{Data: []byte("8:17\n")}
	want := "DRIVE     SIZE     MODEL           SERIAL  STATE\n" +
		"/dev/sdb  15.9 GB  STORAGE DEVICE  42      is mounted on /media/card: look whether it is the right one, " +
		"then unmount it: umount /dev/sdb*\n" +
		"/dev/sdc  15.9 GB                          ready to be overwritten\n"
	if got := list(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCtrlCEndsTheQuestion(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := answer(ctx, bufio.NewReader(r)); err == nil || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("got %v, want that nothing was written", err)
	}
}

// TestATerminalThatIsClosedEndsACommand: nohup has SIGHUP ignored, and keeps that.
func TestATerminalThatIsClosedEndsACommand(t *testing.T) {
	normal := func() { // also below nohup; Reset does not undo Ignore
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP)
		signal.Stop(c)
	}
	normal()
	if !slices.Contains(ending(), os.Signal(syscall.SIGHUP)) {
		t.Error("SIGHUP leaves what a command has made")
	}
	signal.Ignore(syscall.SIGHUP)
	defer normal()
	if slices.Contains(ending(), os.Signal(syscall.SIGHUP)) {
		t.Error("SIGHUP ends a command below nohup")
	}
}
