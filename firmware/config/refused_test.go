package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatusListenIsFoundInAFaultyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "heliograph.toml")
	for _, tt := range []struct {
		name, text, listen string
		known              bool
	}{
		{"faults elsewhere", "colour = 1\n[status]\nlisten = \"10.0.0.2:9464\"\n", "10.0.0.2:9464", true},
		{"over TLS", "[status]\nlisten = \"https://0.0.0.0:443/\"\n", "0.0.0.0:443", true},
		{"with a byte order mark", mark + "[status]\r\nlisten = \":80\"\r\n", ":80", true},
		{"none", head, "", true},
		{"empty", "[status]\nlisten = \"\"\n", "", true},
		{"without a port", "[status]\nlisten = \"10.0.0.2\"\n", "", false},
		{"a number", "[status]\nlisten = 9464\n", "", false},
		{"status is not a table", "status = 9464\n", "", false},
		{"not TOML", "!\n[status]\nlisten = \":80\"\n", "", false},
		{"too large", "[status]\nlisten = \":80\"\n#" + strings.Repeat("x", maxFile), "", false},
	} {
		if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if listen, known := StatusListen(name); listen != tt.listen || known != tt.known {
			t.Errorf("%s: got %q, %t; want %q, %t", tt.name, listen, known, tt.listen, tt.known)
		}
	}
	if _, known := StatusListen(name + ".none"); known {
		t.Error("no file: got an answer")
	}
}

func TestFaultsRepeatNoPassword(t *testing.T) {
	dir := folder(t)
	for _, line := range []string{
		"broker = \"mqtt://ot:s3cret@10.0.0.6:1883\"", "broker = \"mqtt://ot:s3c@s3cret@10.0.0.6\"",
		"broker = \"http://ot:s3cret@10.0.0.6\"", "broker = \"mqtt://:s3cret@\"",
	} {
		_, _, err := ParseTX(strings.NewReader(head+"[[mqtt]]\nchannel = \"m\"\n"+line+"\n"), dir)
		if err == nil || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s: got %v", line, err)
		}
	}
}
