package main

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// exposures are the figures of README: for the service, and with what is added to it.
var exposures = regexp.MustCompile("(?s)of systemd ([0-9]+) says ([0-9.]+) of 10; with `uart.conf` ([0-9.]+),\\s+" +
	"with `low-ports.conf` ([0-9.]+), with `ethernet.conf` ([0-9.]+) ")

var (
	systemdVersion = regexp.MustCompile(`^systemd ([0-9]+)`)
	overallLevel   = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
)

// TestUnitsAreAsHardenedAsREADMESays has systemd judge what the services may do: 0 is
// nothing, 10 all. Another systemd than README's weighs a little differently.
func TestUnitsAreAsHardenedAsREADMESays(t *testing.T) {
	m := exposures.FindSubmatch(read(t, "README.md"))
	if m == nil {
		t.Fatal("README.md does not say how exposed the services are")
	}
	number := func(text []byte) float64 {
		n, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	slack := 0.05
	v := systemdVersion.FindStringSubmatch(asked(t, "systemd-analyze", "--version"))
	if v == nil || v[1] != string(m[1]) {
		slack = 0.5
	}
	for _, p := range products()[1:] {
		for i, addition := range []string{"", "uart.conf", "low-ports.conf", "ethernet.conf"} {
			unit := filepath.Join(t.TempDir(), p.Name+".service")
			var text []byte
			for _, name := range []string{"service", addition} {
				if name == "" {
					continue
				}
				part, err := p.text(name)
				if err != nil {
					t.Fatal(err)
				}
				text = append(text, part...)
			}
			if err := os.WriteFile(unit, text, 0o600); err != nil {
				t.Fatal(err)
			}
			said := overallLevel.FindStringSubmatch(asked(t, "systemd-analyze", "security", "--offline=true", unit))
			if said == nil {
				t.Fatal("systemd-analyze gives no level")
			}
			if got, want := number([]byte(said[1])), number(m[2+i]); math.Abs(got-want) > slack {
				t.Errorf("%s with %q: got %v, want %v as README says", p.Name, addition, got, want)
			}
		}
	}
}
