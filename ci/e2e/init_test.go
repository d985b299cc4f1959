package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

// TestTheCommandsThatInitPrintsLeadToARunningPair answers what "heliograph init" asks of a
// plant on node-opcua, types what it prints, and waits for the mirror to be complete.
func TestTheCommandsThatInitPrintsLeadToARunningPair(t *testing.T) {
	t.Parallel()
	p := startPlant(t, map[string]any{"tags": 20})
	dir := t.TempDir()
	rig.Write(t, filepath.Join(dir, "joe.password"), []byte("secret\n"))
	command := func(args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(programs, args[0]), args[1:]...)
		c.Dir = dir
		return c
	}
	tx, rx := await.FreeAddress(t), await.FreeAddress(t)
	out, err := command("heliograph", "init", "--json", "--opcua", p.url, "--opcua-user", "joe",
		"--opcua-password-file",
		"joe.password", "--address", await.FreeAddress(t), "--opcua-listen", "opc.tcp://"+await.FreeAddress(t),
		"--tx-status", tx, "--rx-status", rx, "--browse-nodes", "100").Output()
	var said struct {
		Next []struct{ Command string }
	}
	if err == nil {
		err = json.Unmarshal(out, &said)
	}
	if err != nil || len(said.Next) < 8 {
		t.Fatalf("%v %s", err, out)
	}
	for _, step := range said.Next {
		args := strings.Fields(step.Command)
		switch {
		case args[0] != "heliograph":
			rig.Launch(t, command(args...))
		case args[1] != "doctor": // it has a finding: the plant's certificate is valid for ten days
			await.NoError(t, step.Command, func() error { // what a role makes at its start may not be there yet
				if out, err := command(args...).CombinedOutput(); err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
		}
	}
	for _, address := range []string{tx, rx} {
		await.NoError(t, address+" is ready", func() error {
			r, err := http.Get("http://" + address + "/readyz")
			if err != nil {
				return err
			}
			defer r.Body.Close()
			if why, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK {
				return fmt.Errorf("%s", why)
			}
			return nil
		})
	}
}
