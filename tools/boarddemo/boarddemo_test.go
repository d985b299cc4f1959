package boarddemo

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/status"
	"heliograph/rootfs/console"
	"heliograph/tools/boarddemo/emulator"
)

func TestMessagesAreCounted(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("5 ab cd3 x\ny70000 z"))
	for _, want := range []string{"ab cd", "x\ny", ""} {
		got, err := message(r)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestWithoutAnEmulatorItSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("ProgramFiles", "")
	_, err := Start(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "apt install qemu-system-arm") {
		t.Errorf("got %v, want what to install", err)
	}
}

// TestAStartThatFailsLeavesNothing has an emulator that is found, and is never needed.
func TestAStartThatFailsLeavesNothing(t *testing.T) {
	tools, temp := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, emulator.Program), []byte("#!/bin/false\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", tools)
	t.Setenv("TMPDIR", temp)
	empty := filepath.Join(t.TempDir(), "empty.img")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no base images":       {Images: filepath.Join(tools, "none")},
		"cards that are lost":  {TX: "lost-tx.img", RX: "lost-rx.img"},
		"cards that are empty": {TX: empty, RX: empty},
	} {
		if _, err := Start(t.Context(), o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line", name, err)
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

func TestABoardsConsoleIsRead(t *testing.T) {
	m := &Machine{}
	for _, s := range []string{"msg=sta", "rting\r\n", "\x1b[2J\r\n"} {
		if _, err := m.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if s, said, fault := m.Look(); s != nil || fault != "" || strings.Join(said, "|") != "msg=starting|?[2J" {
		t.Errorf("got %v, %q, %q", s, said, fault)
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestTheScreenFitsAndShowsWhatMatters draws two boards at the sizes of usual terminals.
func TestTheScreenFitsAndShowsWhatMatters(t *testing.T) {
	of := status.Of[uint64]
	at := func(role string) *Machine {
		s := &console.Status{Role: role, Board: emulated, Host: "demo-" + role, State: health.Good,
			Address: "10.0.2.15/24"}
		s.Report.Snapshot = status.Snapshot{Role: role, Pair: "board-demo", Version: "1.2.0",
			Link: status.Link{Medium: "uart", Frames: 81234, Lost: of(0)},
			Disk: &disk.Usage{Bytes: 1 << 30, Free: 1 << 29},
			Channels: map[string]status.Channel{
				"syslog": {Protocol: "syslog", SourceState: "up", Sent: of(3086), Delivered: of(3086), Lost: of(0)},
				"press-line": {Protocol: "opcua", SourceState: "up", Keys: of(1204), Sent: of(3086),
					Delivered: of(2561), Conflated: of(525), Lost: of(0)}},
			Peers: []status.Peer{{Name: "syslog sink syslog", State: "up", Address: "tcp://10.0.2.2:45678"}}}
		return &Machine{status: s}
	}
	d := &Demo{TX: at("tx"), RX: at("rx"), Line: &Line{}, own: &surroundings{last: "line 12345 of the plant"},
		txPorts: []Port{{pageOf, "http", 9464, 45679}, {syslogOf, "udp", 514, 45681}, {consoleOf, "tcp", 0, 45682}},
		rxPorts: []Port{{pageOf, "http", 9464, 45678}, {mirrorOf, "opc.tcp", 4840, 45680},
			{consoleOf, "tcp", 0, 45683}}}
	d.own.Sent.Store(12345)
	d.own.Arrived.Store(12345)
	d.Line.Sent.Store(123456789)
	d.Line.ToggleCut()
	d.Line.ToggleWayBack()
	for _, size := range []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 120, Height: 40}} {
		s := NewScreen(d)
		s.Update(size)
		text := colours.ReplaceAllString(s.String(), "")
		lines := strings.Split(text, "\n")
		if len(lines) > size.Height {
			t.Errorf("%d lines do not fit into %d:\n%s", len(lines), size.Height, text)
		}
		for _, want := range []string{"STATE ", "LINK  uart", "CHAN  syslog", "CHAN  press-line", "conflated 525",
			"OUT   "} {
			if strings.Count(text, want) != 2 {
				t.Errorf("%v: %q is not shown for both boards:\n%s", size, want, text)
			}
		}
		for _, want := range d.Lines() {
			if !slices.Contains(lines, want) {
				t.Errorf("%v: %q is cut:\n%s", size, want, text)
			}
		}
	}
}
