package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// unreadable has a file of each kind that no key takes, and what is said of it.
func unreadable(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{pipe: "is a pipe and not a regular file", "/dev/zero": "is a device and not a regular " +
		"file", dir: "is a folder and not a regular file", large: "is larger than "}
}

func TestFilesWithoutAnEndAreRefused(t *testing.T) {
	for path, want := range unreadable(t) {
		_, err := ReadFile(path)
		_, _, loading := LoadTX(path)
		if path != "/dev/zero" && strings.HasSuffix(path, "large") {
			loading = err // its content is a configuration with a fault
		}
		for _, err := range []error{err, loading} {
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", path, err, want)
			}
		}
	}
}

// Each table has all keys of it that name a file, "@" in place of it.
const (
	everyFileTX = `pair = "p"
[link]
medium = "udp"
address = "127.0.0.1:17000"
key_file = "@"
[status]
listen = "https://127.0.0.1:9464"
users_file = "@"
certificate = "@"
private_key = "@"
[telemetry]
endpoint = "https://127.0.0.1:4318"
headers_file = "@"
ca_file = "@"
[[opcua]]
channel = "o"
endpoint = "opc.tcp://127.0.0.1:4840"
username = "u"
password_file = "@"
user_certificate = "@"
user_private_key = "@"
[[mqtt]]
channel = "m"
broker = "mqtts://127.0.0.1:8883"
username = "u"
password_file = "@"
ca_file = "@"
certificate = "@"
private_key = "@"
[[syslog]]
channel = "s"
listen = ["tls://127.0.0.1:6514"]
ca_file = "@"
certificate = "@"
private_key = "@"
`
	everyFileRX = `pair = "p"
[link]
medium = "udp"
address = "127.0.0.1:17000"
key_file = "@"
[status]
listen = "https://127.0.0.1:9464"
users_file = "@"
certificate = "@"
private_key = "@"
[telemetry]
endpoint = "https://127.0.0.1:4318"
headers_file = "@"
ca_file = "@"
[audit]
forward = "tls://127.0.0.1:6514"
ca_file = "@"
certificate = "@"
private_key = "@"
[announce]
forward = "tls://127.0.0.1:6514"
ca_file = "@"
certificate = "@"
private_key = "@"
listen = "opc.tcp://127.0.0.1:4841"
users_file = "@"
[[opcua]]
channel = "o"
listen = "opc.tcp://127.0.0.1:4840"
users_file = "@"
[[mqtt]]
channel = "m"
broker = "mqtts://127.0.0.1:8883"
username = "u"
password_file = "@"
ca_file = "@"
certificate = "@"
private_key = "@"
[[mqtt]]
channel = "n"
listen = "mqtt://127.0.0.1:1883"
users_file = "@"
[[syslog]]
channel = "s"
forward = "tls://127.0.0.1:6514"
ca_file = "@"
certificate = "@"
private_key = "@"
`
)

// filesOf returns the keys of a document that name a file, as "table.key".
func filesOf(t reflect.Type, table string) (keys []string) {
	for f := range t.Fields() {
		name, kind := f.Tag.Get("toml"), f.Type
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		switch {
		case kind.Kind() == reflect.Struct:
			keys = append(keys, filesOf(kind, name)...)
		case strings.HasSuffix(name, "_file"), strings.HasSuffix(name, "certificate"), strings.HasSuffix(name,
			"private_key"):
			keys = append(keys, table+"."+name)
		}
	}
	return keys
}

func TestNoKeyTakesAFileWithoutAnEnd(t *testing.T) {
	for path, want := range unreadable(t) {
		for side, c := range map[string]struct {
			text string
			raw  reflect.Type
			load func(string) error
		}{
			"tx": {everyFileTX, reflect.TypeFor[rawTX](), func(p string) error { _, _, err := LoadTX(p); return err }},
			"rx": {everyFileRX, reflect.TypeFor[rawRX](), func(p string) error { _, _, err := LoadRX(p); return err }},
		} {
			file := filepath.Join(t.TempDir(), side+".toml")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(c.text, "@", path)), 0o600); err != nil {
				t.Fatal(err)
			}
			var faults Faults
			if err := c.load(file); !errors.As(err, &faults) {
				t.Fatalf("%s with %s: got %v, want faults", side, path, err)
			}
			seen, table := map[string]bool{}, ""
			for n, line := range strings.Split(c.text, "\n") {
				if name, ok := strings.CutPrefix(line, "["); ok {
					table = strings.Trim(name, "[]")
				}
				key, isFile := strings.CutSuffix(line, ` = "@"`)
				if !isFile {
					continue
				}
				seen[table+"."+key] = true
				said := false
				for _, f := range faults {
					said = said || f.Line == n+1 && strings.Contains(f.Message, path) && strings.Contains(f.Message,
						want)
				}
				if !said {
					t.Errorf("%s: %s.%s = %q is not said to be one that %q:\n%v", side, table, key, path, want, faults)
				}
			}
			for _, key := range filesOf(c.raw, "") {
				if !seen[key] {
					t.Errorf("%s: key %s names a file, and is not in this test", side, key)
				}
			}
		}
	}
}
