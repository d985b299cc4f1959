package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"heliograph/ci/rig"
)

// keysOfCompletion are what a person types before Tab, and the words of the line after it.
var keysOfCompletion = map[string]string{
	"heliograph fla":                       "<heliograph><flash>",
	"heliograph trust li":                  "<heliograph><trust><list>",
	"heliograph image --netw":              "<heliograph><image><--network>",
	"heliograph image --board zer":         "<heliograph><image><--board><zero2w>",
	"heliograph flash --replace t":         "<heliograph><flash><--replace><tx>",
	"heliograph image --role=r":            "<heliograph><image><--role=rx>",
	"heliograph trust add --config plant-": "<heliograph><trust><add><--config><plant-tx.toml>",
}

// byEnding is what shells complete that leave out files of another ending, here plant.txt.
const byEnding, toEnding = "heliograph check plan", "<heliograph><check><plant-tx.toml>"

// TestShellsComplete has each shell load its script as the help of the command says, and
// complete commands, flags and values on a terminal.
func TestShellsComplete(t *testing.T) {
	const bashCompletion = "/usr/share/bash-completion/bash_completion"
	for name, shell := range map[string]struct {
		args []string
		load string
	}{
		"bash": {[]string{"--noprofile", "--norc", "-i"}, ". " + bashCompletion + "; " +
			"source <(heliograph completion bash)"},
		"zsh":  {[]string{"-f", "-i"}, "autoload -U compinit; compinit -u; source <(heliograph completion zsh)"},
		"fish": {[]string{"--no-config", "-i"}, "heliograph completion fish | source"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := rig.Program(t, name, "completion in "+name)
			if _, err := os.Stat(bashCompletion); name == "bash" && err != nil {
				t.Skip("not proved: completion in bash, because the package bash-completion is not installed")
			}
			home := t.TempDir()
			for _, file := range []string{"plant-tx.toml", "plant.txt"} {
				rig.Write(t, filepath.Join(home, file), nil)
			}
			c := exec.Command(program, shell.args...)
			c.Dir = home
			c.Env = []string{"HOME=" + home, "TERM=xterm", "LC_ALL=C.UTF-8", "PATH=" + programs + ":/usr/bin:/bin",
				"INPUTRC=/dev/null"}
			s := onTerminal(t, c)
			// What is written differs from what is typed, which the terminal shows too.
			s.types(shell.load + "; printf '<%s>' loaded\n")
			s.shows("<loaded>")
			keys := maps.Clone(keysOfCompletion)
			if name != "fish" { // the library's script for it shows all files
				keys[byEnding] = toEnding
			}
			n := 0
			for typed, want := range keys {
				n++
				// To the start of the line, and what shows the words of the rest of it.
				s.types(typed + "\t\x01" + fmt.Sprintf("printf '<%%s>' %d- ", n) + "\n")
				s.shows(fmt.Sprintf("<%d->", n) + want)
			}
			s.types("exit\n")
			s.ends()
		})
	}
}
