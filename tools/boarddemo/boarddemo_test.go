package boarddemo

import (
	"bufio"
	"strings"
	"testing"
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
