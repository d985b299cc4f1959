package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
)

// mark is what Notepad writes before a file in UTF-8.
const mark = "\uFEFF"

// windows is a text as an editor of Windows saves it.
func windows(s string) string { return mark + strings.ReplaceAll(s, "\n", "\r\n") }

func TestFilesOfAWindowsEditorAreRead(t *testing.T) {
	dir := folder(t)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	plainTX, _, err := ParseTX(strings.NewReader(ReferenceTX()), dir)
	if err != nil {
		t.Fatal(err)
	}
	plainRX, _, err := ParseRX(strings.NewReader(ReferenceRX()), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) != ".der" && filepath.Base(name) != "user.key" { // these are not text
			b = []byte(windows(string(b)))
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tx, _, err := ParseTX(strings.NewReader(windows(ReferenceTX())), dir)
	if err != nil || !reflect.DeepEqual(tx, plainTX) {
		t.Errorf("TX: got  %+v, %v\nwant %+v", tx, err, plainTX)
	}
	rx, _, err := ParseRX(strings.NewReader(windows(ReferenceRX())), dir)
	if err != nil || !reflect.DeepEqual(rx, plainRX) {
		t.Errorf("RX: got  %+v, %v\nwant %+v", rx, err, plainRX)
	}
	files := TLS{CAFile: filepath.Join(dir, "ca.pem"), Certificate: filepath.Join(dir, "own.pem"),
		PrivateKey: filepath.Join(dir, "own.key")}
	if _, err := files.Client("broker"); err != nil {
		t.Errorf("TLS: %v", err)
	}
	if _, err := pairkey.Read(filepath.Join(dir, "pair.key")); err != nil {
		t.Errorf("pair key: %v", err)
	}
	file := filepath.Join(dir, "users")
	if err := users.Add(file, "anna", "another"); err != nil {
		t.Fatal(err)
	}
	if u, err := users.Load(file); err != nil || u.Len() != 1 {
		t.Errorf("users after a password was replaced: got %v, %v; want one", u, err)
	}
}

func TestLinesOfAWindowsEditorAreCounted(t *testing.T) {
	dir := folder(t)
	for name, tt := range map[string]struct {
		text string
		line int
	}{
		"unknown key":        {head + "colour = 1\n" + oneSyslog, 6},
		"fault in a value":   {strings.Replace(head, "udp", "pigeon", 1) + oneSyslog, 3},
		"not TOML":           {head + "!\n" + oneSyslog, 6},
		"first line":         {"colour = 1\n" + head + oneSyslog, 1},
		"after a comment":    {"# of the hall\n" + head + "colour = 1\n" + oneSyslog, 7},
		"missing in a table": {head + "[[syslog]]\nlisten = [\"udp://:514\"]\n", 6},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseTX(strings.NewReader(windows(tt.text)), dir)
			faults, _ := errors.AsType[Faults](err)
			if len(faults) == 0 || faults[0].Line != tt.line {
				t.Errorf("got %v, want a fault on line %d", err, tt.line)
			}
		})
	}
}

func TestUTF16IsOneFaultThatSaysWhatToDo(t *testing.T) {
	var wide bytes.Buffer
	wide.WriteString("\xFF\xFE")
	for _, c := range []byte(head + oneSyslog) {
		wide.Write([]byte{c, 0})
	}
	_, _, err := ParseTX(&wide, folder(t))
	faults, _ := errors.AsType[Faults](err)
	if len(faults) != 1 || !strings.Contains(faults[0].Message, "save it as UTF-8") {
		t.Errorf("got %v, want one fault that says to save it as UTF-8", err)
	}
}
