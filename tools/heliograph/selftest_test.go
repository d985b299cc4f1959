package main

import "testing"

func TestSelftestIsFoundInABundle(t *testing.T) {
	for _, tt := range []struct{ name, bundle, want string }{
		{"between others", "head\n\n== status\nGOOD\n\n== self-test\npass  link: x\nFAIL  led: y\n\n== log\na\n",
			"pass  link: x\nFAIL  led: y\n"},
		{"last", "\n== self-test\npass  link: x\n", "pass  link: x\n"},
		{"none", "\n== status\nGOOD\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := selftestSection(tt.bundle)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
