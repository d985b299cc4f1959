package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnEmptyValueIsNotADefault(t *testing.T) {
	dir := folder(t)
	const mqtt = "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\n"
	for text, want := range map[string]string{
		head + oneSyslog + "[replay]\nmemory = \"\"\n": "configuration:10: memory is empty",
		head + oneSyslog + "[replay]\ndisk = \"\"\n":   "configuration:10: disk is empty",
		head + "rate = \"\"\n" + oneSyslog:             "configuration:6: rate is empty",
		head + oneSyslog + "class = \"\"\n":            "configuration:9: class is empty",
	} {
		_, _, err := ParseTX(strings.NewReader(text), dir)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v; want one fault, %s", text, err, want)
		}
	}
	for key, want := range map[string]string{"late": "configuration:9: late is empty",
		"spool": "configuration:9: spool is"} {
		_, _, err := ParseRX(strings.NewReader(head+mqtt+key+" = \"\"\n"), dir)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v; want one fault, %s", key, err, want)
		}
	}
}

// A prefix that does not end a level of the topic is allowed, but seldom meant.
func TestALatePrefixThatEndsNoLevelIsWarnedOf(t *testing.T) {
	const mqtt = "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\ntopic_prefix = \"plant/\"\nlate_prefix = "
	for prefix, want := range map[string]string{"late/": "", "late": "configuration:10: warning: late_prefix " +
		"\"late\" does not end with \"/\": the topic \"plant/a\" becomes \"lateplant/a\""} {
		_, warnings, err := ParseRX(strings.NewReader(head+mqtt+"\""+prefix+"\"\n"), folder(t))
		got := ""
		for _, w := range warnings {
			got += w.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: got %v, %q; want %q", prefix, err, got, want)
		}
	}
}

func TestEmptyItemsOfLists(t *testing.T) {
	for servers, want := range map[string]string{
		`""`: "servers must not hold an empty string", `" "`: "servers must not hold an empty string",
		`":123"`: "the host is missing", `"10.0.0.1", ""`: "servers must not hold an empty string",
	} {
		_, _, err := ParseTX(strings.NewReader(MinimalTX()+"\n[time]\nservers = ["+servers+"]\n"), ".")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", servers, err, want)
		}
	}
}

func TestNoWarningOfAValueAtFault(t *testing.T) {
	_, warnings, err := ParseTX(strings.NewReader(head+
		"[[opcua]]\nchannel = \"o\"\nendpoint = \"opc.tcp://b\"\ntolerate = [\"foo\"]\n"), folder(t))
	if err == nil || len(warnings) > 0 {
		t.Errorf("got %v and warnings %v, want the fault alone", err, warnings)
	}
}

func TestACertificateThatIsNotPEM(t *testing.T) {
	dir := folder(t)
	for _, name := range []string{"c.pem", "k.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := ParseTX(strings.NewReader(head+oneSyslog+
		"[status]\nlisten = \"https://0.0.0.0:9464\"\ncertificate = \"c.pem\"\nprivate_key = \"k.pem\"\n"), dir)
	if err == nil || !strings.Contains(err.Error(), "c.pem is not a PEM file: convert it") {
		t.Errorf("got %v, want the file's name and a cure", err)
	}
}
