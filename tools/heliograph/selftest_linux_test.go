package main

import (
	"testing"

	"heliograph/rootfs/selftest"
)

func TestFailedChecksAreFound(t *testing.T) {
	if failedCheck != string(selftest.Fail) {
		t.Errorf("got %q, and a board says %q", failedCheck, selftest.Fail)
	}
}
