package e2e

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	simulated "heliograph/tools/plant"
)

const tutorialFile = "../../tools/release/tutorial.md"

// steps returns the commands of the tutorial from its second section on, a block each.
func steps(t *testing.T) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(tutorialFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## 2.")
	fence := regexp.MustCompile("(?ms)^ *```\n(.*?)^ *```$")
	for _, m := range fence.FindAllStringSubmatch(rest, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// learner follows the tutorial in one shell, which runs what it reads.
type learner struct {
	t      *testing.T
	dir    string
	screen string
	shell  *os.File // its standard input
	ports  map[string]string
}

// does has the shell run a block until it succeeds, as one does who looks and tries again.
func (n *learner) does(block string) string {
	n.t.Helper()
	done := filepath.Join(n.dir, "done")
	var printed string
	await.NoError(n.t, "success of "+block, func() error {
		_ = os.Remove(done)
		before := len(rig.Read(n.t, n.screen))
		script := "(set -e\n" + otherPorts(n.t, block, n.ports) + ") </dev/null\n" +
			"[ $? = 0 ] && echo ok >done || echo failed >done\n"
		if strings.Contains(block, "&\n") || strings.Contains(block, "jobs -p") { // of this shell itself
			script = otherPorts(n.t, block, n.ports) + "echo ok >done\n"
		}
		if _, err := n.shell.WriteString(script); err != nil {
			n.t.Fatal(err)
		}
		await.NoError(n.t, "the end of "+block, func() error { _, err := os.Stat(done); return err })
		await.True(n.t, "the outcome of "+block, func() bool { return len(rig.Read(n.t, done)) > 0 })
		printed = string(rig.Read(n.t, n.screen)[before:])
		if strings.HasPrefix(string(rig.Read(n.t, done)), "ok") {
			return nil
		}
		return errors.New(printed)
	})
	return printed
}

// TestTheTutorialLeadsToAMirror runs what a newcomer copies, with a client in place of UaExpert.
func TestTheTutorialLeadsToAMirror(t *testing.T) {
	t.Parallel()
	blocks := steps(t)
	if len(blocks) != 11 {
		t.Fatalf("the tutorial has %d blocks after the first section, want 11: say here what each of them does",
			len(blocks))
	}
	n := begin(t)
	for _, block := range blocks[:4] { // the plant, both configurations, both roles, ready
		n.does(block)
	}
	store, err := pki.Open(pki.Config{Directory: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Application: pki.Application{Name: "UaExpert", URI: "urn:it:UaExpert", Organization: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	own := n.does(blocks[4])
	cfg := client.Config{Endpoint: "opc.tcp://127.0.0.1:" + n.ports["4840"], Policy: "Basic256Sha256",
		Mode: ua.MessageSecurityModeSignAndEncrypt, ApplicationName: "UaExpert", Store: store,
		User: client.User{Name: "ann", Password: "choose-another"}}
	if _, err := client.Connect(t.Context(), cfg); err == nil {
		t.Fatal("an unknown client was let in")
	}
	for _, e := range store.List() {
		if e.Kind != pki.KindRejected {
			continue
		}
		if !strings.Contains(own, e.Thumbprint) {
			t.Errorf("cert show prints %s, want the thumbprint %s that the client saw", own, e.Thumbprint)
		}
		if _, err := store.Trust(e.Thumbprint, false); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = client.Connect(t.Context(), cfg) // the mirror refuses, and keeps the certificate
	thumbprint := pki.Thumbprint(store.Own().Certificate.Raw)
	if list := n.does(blocks[5]); !strings.Contains(list, "rejected  "+thumbprint) {
		t.Fatalf("trust list prints %s, want %s as rejected", list, thumbprint)
	}
	n.does(strings.ReplaceAll(blocks[6], "THUMBPRINT", thumbprint[:8]))
	read := func() ua.StatusCode { return readTag(t, cfg) }
	await.True(t, "good values at the mirror", func() bool { return read() == ua.StatusOK })
	n.does(blocks[7])
	await.True(t, "uncertain values while TX is stopped", func() bool { return read()&0xC0000000 == 0x40000000 })
	n.does(blocks[8])
	await.True(t, "good values again", func() bool { return read() == ua.StatusOK })
	n.does(strings.Replace(blocks[9], "--minutes 1 ", "--minutes 0.1 ", 1))
	n.does(blocks[10])
}

// readTag returns the status of a value of the simulated line, read in a session of its own.
func readTag(t *testing.T, cfg client.Config) ua.StatusCode {
	s, err := client.Connect(t.Context(), cfg)
	if err != nil {
		return ua.StatusBadServerNotConnected
	}
	defer s.Close()
	code := ua.StatusBadNoData
	if err := s.Read(t.Context(), []client.ReadItem{{Node: simulated.Tag(0), Attribute: ua.AttributeIDValue}}, 0,
		func(_ int, dv rawvalue.DataValue) { code = dv.Status }); err != nil {
		return ua.StatusBadServerNotConnected
	}
	return code
}

// begin is a newcomer's shell in an empty folder, with the programs in its path.
func begin(t *testing.T) *learner {
	n := &learner{t: t, dir: t.TempDir(), ports: map[string]string{}}
	n.screen = filepath.Join(n.dir, "screen")
	out, err := os.Create(n.screen)
	if err != nil {
		t.Fatal(err)
	}
	in, shell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n.shell = shell
	c := shellIn(n.dir, "PATH="+programs+":$PATH exec bash", out)
	c.Stdin = in
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGCONT)
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
		for _, f := range []*os.File{in, shell, out} {
			_ = f.Close()
		}
		if t.Failed() {
			t.Logf("the shell printed:\n%s", rig.Read(t, n.screen))
		}
	})
	return n
}
