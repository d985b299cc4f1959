package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/decode"
	"heliograph/tools/wireshark"
)

// captured writes the bytes of a UART with one hello, and the key that fits.
func captured(t *testing.T) (line, key string) {
	t.Helper()
	secret := wire.PairKey{1}
	session, err := wire.NewSession(secret, 7, [16]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	h := wire.HelloHeader{Session: session.ID, Epoch: 7, Sequence: 1, Salt: [16]byte{9}}
	frame := make([]byte, codeword.ShortFrame-wire.TagSize-wire.CRCSize, codeword.ShortFrame)
	h.Put(frame)
	folder := t.TempDir()
	line, key = filepath.Join(folder, "line"), filepath.Join(folder, "pair.key")
	if err := os.WriteFile(line, codeword.Encode(nil, session.Seal(frame, wire.HelloHeaderSize, 1)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if err := pairkey.Create(key, secret); err != nil {
		t.Fatal(err)
	}
	return line, key
}

func TestDecode(t *testing.T) {
	line, key := captured(t)
	other := filepath.Join(t.TempDir(), "other.key")
	if err := pairkey.Create(other, pairkey.New()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"with the key": {[]string{line, "--medium", "uart", "--key", key}, 0,
			"seq=1 size=112 crc=ok tag=ok epoch=7\n"},
		"without a key": {[]string{line, "--medium", "uart"}, 0, "seq=1 size=112 crc=ok epoch=7\n"},
		"another pair's key": {[]string{line, "--medium", "uart", "--key", other}, 0,
			"none of 1 frames opened: this is not the key"},
		"no capture": {[]string{line}, 1, "--medium uart"},
		"no file":    {[]string{"/none"}, 1, "file not found"},
		"no key":     {[]string{line, "--key", line}, 1, "not a pair key"},
		"no medium":  {[]string{line, "--medium", "radio"}, 2, "must be packets or uart"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "", append([]string{"decode"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
		})
	}
}

func TestDecodeWritesTheDissector(t *testing.T) {
	script, capture := filepath.Join(t.TempDir(), "heliograph.lua"), filepath.Join(t.TempDir(), "link.pcap")
	for range 2 { // over an older one as well
		if code, _, stderr := call(t, "", "decode", "--dissector", script); code != 0 {
			t.Fatalf("got %d, %q", code, stderr)
		}
	}
	if got, err := os.ReadFile(script); err != nil || string(got) != wireshark.Dissector {
		t.Errorf("got %d bytes, %v; want the script", len(got), err)
	}
	for want, args := range map[string][]string{
		"must end in .lua":                {"--dissector", capture},
		"--dissector takes no other FILE": {"--dissector", script, capture},
	} {
		code, _, stderr := call(t, "", append([]string{"decode"}, args...)...)
		if code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%v: got %d, %q; want %q", args, code, stderr, want)
		}
	}
	if _, err := os.Stat(capture); err == nil {
		t.Error("a file was written over a capture")
	}
}

func TestDecodeJSONFromStandardInput(t *testing.T) {
	line, key := captured(t)
	received, err := os.ReadFile(line)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := call(t, string(bytes.Repeat(received, 2)), "decode", "-", "--medium", "uart", "--json", "--key",
		key)
	d := json.NewDecoder(strings.NewReader(stdout))
	for i := range 2 {
		var f decode.Frame
		if err := d.Decode(&f); err != nil || code != 0 || f.Kind != "hello" || f.Tag != decode.OK ||
			f.Offset != int64((i+1)*len(received)) {
			t.Errorf("frame %d: got %d, %+v, %v; want an authentic hello", i, code, f, err)
		}
	}
}
