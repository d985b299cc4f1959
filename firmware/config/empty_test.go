package config

import (
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
