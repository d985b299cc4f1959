package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config/pairkey"
)

// silent is a server that accepts connections and says nothing.
func silent(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return l.Addr().String()
}

// TestWhatTakesLongIsShownOnATerminal has commands wait for what does not answer. Package
// progress proves that a pipe gets nothing.
func TestWhatTakesLongIsShownOnATerminal(t *testing.T) {
	peer, dir := silent(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := pairkey.Create(at("pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	rx := fmt.Sprintf("pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:%d\"\nkey_file = \"pair.key\"\n"+
		"[[mqtt]]\nchannel = \"s\"\nbroker = \"mqtt://%s\"\n", await.FreePort(t), peer)
	if err := os.WriteFile(at("rx.toml"), []byte(rx), 0o600); err != nil {
		t.Fatal(err)
	}
	endless, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = endless.Close() })
	for name, c := range map[string]struct {
		args  []string
		shows string
	}{
		"crawl":  {[]string{"crawl", "opc.tcp://" + peer, "opc.tcp://" + peer}, "1/3 the source: connecting … 1s"},
		"watch":  {[]string{"watch", "--once", peer}, "waiting for the boards … 1s"},
		"accept": {[]string{"accept", "--rx", peer, "-o", at("hall.html")}, "measuring … 1s"},
		"init": {[]string{"init", "--yes", "--opcua", "opc.tcp://" + peer, "--tx", at("t.toml"), "--rx",
			at("r.toml"), "--key", at("k.key")}, "asking opc.tcp://" + peer + " … 1s"},
		"doctor": {[]string{"doctor", "--config", at("rx.toml")}, "examining peers: mqtt://" + peer + " … 1s"},
		"decode": {[]string{"decode", "-"}, "decoding - … 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", "xterm")
			s := newScreen(t)
			var stdout bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			code := make(chan int, 1)
			go func() { code <- run(ctx, c.args, endless, &stdout, s.tty) }()
			s.types(c.shows, "")
			if c.args[0] == "decode" {
				_ = end.Close()
			}
			cancel()
			await.Receive(t, "end of "+name, code)
			if strings.Contains(stdout.String(), "…") || strings.Contains(stdout.String(), "\x1b") {
				t.Errorf("standard output: got %q, want no progress", &stdout)
			}
		})
	}
}
