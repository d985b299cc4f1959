package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/tools/doctor"
)

func TestDoctorHasAnExitCodeForEachOutcome(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := pairkey.Create(at("pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	good := fmt.Sprintf("pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:%d\"\nkey_file = \"pair.key\"\n"+
		"[[syslog]]\nchannel = \"s\"\n", await.FreePort(t))
	for name, text := range map[string]string{
		"good.toml": good + "forward = \"udp://127.0.0.1:9\"\n",
		"down.toml": good + fmt.Sprintf("forward = \"tcp://127.0.0.1:%d\"\n", await.FreePort(t)),
		"bad.toml":  good + "forward = \"carrier pigeon\"\n",
		"tx.toml":   good + "listen = [\"udp://127.0.0.1:0\"]\n",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no finding":    {[]string{"--config", at("good.toml")}, 0, "\nno finding\n"},
		"a finding":     {[]string{"--config", at("down.toml")}, 1, "cure: start the server there"},
		"no file named": {nil, 2, "config"},
		"another role":  {[]string{"--config", at("good.toml"), "--role", "mx"}, 2, "must be tx or rx"},
		"a lone file":   {[]string{"--config", at("good.toml"), "--password-file", "f"}, 2, "needs --user"},
		"no such file":  {[]string{"--config", at("none.toml")}, 78, "file not found"},
		"no other file": {[]string{"--config", at("good.toml"), "--other", at("none.toml")}, 78,
			"--other: file not found"},
		"a fault": {[]string{"--config", at("bad.toml")}, 78, "bad.toml:8: forward"},
		"another's role": {[]string{"--config", at("good.toml"), "--role", "tx"}, 2, "good.toml is heliorx's file: " +
			"leave --role out, or name heliotx's file\n"},
		"both of a side": {[]string{"--config", at("good.toml"), "--other", at("down.toml")}, 2, "both files are " +
			"heliorx's: name heliotx's with --other\n"},
		"a side twice": {[]string{"--config", at("tx.toml"), "--other", at("tx.toml")}, 2, "both files are heliotx's"},
		"no such secret": {[]string{"--config", at("good.toml"), "--user", "a", "--password-file", at("x")}, 1,
			"file not found: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "", append([]string{"doctor"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
		})
	}
	var r doctor.Result
	_, stdout, _ := call(t, "", "doctor", "--json", "--config", at("down.toml"))
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || len(r.Findings) != 1 ||
		r.Findings[0].Code != "connection-refused" || r.Role != "rx" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestWordsOfPeersCannotSteerTheTerminal(t *testing.T) {
	var out bytes.Buffer
	printResult(&out, doctor.Result{Findings: diagnosis.List{{Where: "channel c", Cause: "a\x1b[2J\nb", Cure: "c"}}})
	if want := "channel c: a?[2J?b\n"; !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %q", &out, want)
	}
}
