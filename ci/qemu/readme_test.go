package qemu

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/ci/rig"
	"heliograph/ci/tutorial"
	"heliograph/tools/image"
)

// TestTheReadmesCommandsMakeCards runs what the README says below "A pair of boards", with
// the emulated board in place of a Raspberry Pi, and files in place of cards. What talks to a
// board that runs is left to other tests.
func TestTheReadmesCommandsMakeCards(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := rig.Build(folder, "tools/heliograph"); err != nil {
		t.Fatal(err)
	}
	board, _ := boards.ByName("virt")
	for _, role := range []string{"tx", "rx"} {
		// The program that is built here has no version.
		name := strings.TrimSuffix(image.BaseName("unknown", board.Name, role), ".zst")
		if err := image.Build(image.Options{Role: role, Board: board, Source: "../..", Version: "unknown",
			Output: filepath.Join(folder, name)}); err != nil {
			t.Fatal(err)
		}
	}
	shell := tutorial.Begin(t, folder, folder)
	shell.Bound = firstBound
	does := func(command string) {
		t.Helper()
		if printed, ok := shell.Tries(command + "\n"); !ok {
			t.Fatalf("%s: %s", command, printed)
		}
	}
	does("heliograph init --board virt --offline --syslog-to tcp://10.0.2.2:601")
	ours := strings.NewReplacer("rpi4b", "virt", "press-hall.key /dev/sdX ", "press-hall.key tx-card.img rx-card.img ",
		"/dev/sdX", "tx-card.img")
	done := 0
	for _, block := range tutorial.Blocks(t, "../../README.md", "### A pair of boards", "## What it promises") {
		for _, command := range commandsOf(block) {
			switch {
			case !strings.HasPrefix(command, "heliograph ") && !strings.HasPrefix(command, "curl "):
				continue // lines of a file
			case strings.Contains(command, "update key plant.key") && done > 2, strings.HasPrefix(command, "curl "),
				strings.HasPrefix(command, "heliograph doctor"), strings.HasPrefix(command, "heliograph console"):
				continue
			}
			does(ours.Replace(strings.TrimSpace(command)))
			done++
		}
	}
	if done < 9 {
		t.Errorf("%d commands were run: the README has at least 9 of cards, images and updates", done)
	}
}

// commandsOf are the commands of a block, which may go over lines.
func commandsOf(block string) []string {
	whole := strings.ReplaceAll(block, "\\\n", "")
	return slices.Collect(strings.Lines(whole))
}
