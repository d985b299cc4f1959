package qemu

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/tools/plant"
)

// TestAReleaseAloneMakesTwoBoardsThatWork makes a release, and from its folder alone, in a
// root that has nothing else, without a network, the cards of a pair. Both boards boot,
// and a client of node-opcua reads the plant's value at the mirror. Unpacking the archive
// is what a user's system does.
func TestAReleaseAloneMakesTwoBoardsThatWork(t *testing.T) {
	for _, name := range []string{"qemu-system-aarch64", "mcopy", "unshare", "tar"} {
		need(t, name)
	}
	if os.Getuid() != 0 {
		t.Skip("not proved: a release alone makes two boards, because only root can change its root")
	}
	node := rig.Program(t, "node", "a release alone makes two boards that work")
	root := t.TempDir()
	dist := filepath.Join(root, "dist")
	made := exec.Command("go", "run", "./tools/release", "-version", "0.0.1", "-boards", "virt", "-parts",
		"tool,images", "-platforms", "linux/"+runtime.GOARCH, "-o", dist)
	made.Dir = "../.."
	if said, err := made.CombinedOutput(); err != nil {
		t.Fatalf("making a release: %v\n%s", err, said)
	}
	tags, err := plant.NewServer(tagCount)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tags.Close() })
	start := time.Now()
	cards(t, root, tags.Endpoint)
	t.Logf("two cards from the release after %s", time.Since(start).Round(time.Second))

	folder := t.TempDir()
	sent, received, mirror := filepath.Join(folder, "tx"), filepath.Join(folder, "rx.in"), await.FreePort(t)
	for _, name := range []string{sent, received} {
		if err := unix.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "rx.out"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status := fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))
	rx := boot(t, filepath.Join(root, "rx.img"), wiring{status: status,
		link:  "pipe,path=" + filepath.Join(folder, "rx"),
		ports: []string{fmt.Sprintf("tcp:127.0.0.1:%d-:4840", mirror)}})
	rx.answers(t, "http://"+status+"/healthz")
	carry(t, sent, received, linktest.New(1, linktest.Profile{}))
	boot(t, filepath.Join(root, "tx.img"), wiring{status: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t)),
		link: "file,path=" + sent})
	rx.until(t, "node-opcua reads the plant's value at the mirror", func() error {
		argument := fmt.Sprintf(`{"url":"opc.tcp://127.0.0.1:%d","tag":%q}`, mirror, plant.Tag(0).String())
		out, err := exec.CommandContext(t.Context(), node, "../peers/reader.js", argument).CombinedOutput()
		var got struct {
			Value  any
			Status string
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if json.Unmarshal([]byte(lines[len(lines)-1]), &got) != nil || got.Status != "Good" || got.Value == nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	if took := time.Since(start); took > 10*time.Minute {
		t.Errorf("from the release to a value at a client it took %s, want at most 10 minutes", took)
	} else {
		t.Logf("a value at a client after %s", took.Round(time.Second))
	}
}

// cards makes both in a root that has the unpacked release and the configurations.
func cards(t *testing.T, root, endpoint string) {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join(root, "dist", "heliograph_*.tar.gz"))
	if err != nil || len(archives) != 1 {
		t.Fatalf("got archives %v, %v; want one", archives, err)
	}
	run(t, "tar", "-C", filepath.Join(root, "dist"), "--strip-components=1", "-xzf", archives[0])
	for name, text := range map[string]string{
		"tx.toml": common + fmt.Sprintf("[[opcua]]\nchannel = \"press-line\"\nendpoint = %q\n"+
			"security_policy = \"None\"\npublishing_interval = \"1s\"\n"+
			"exclude = [\"/Types/**\", \"/Objects/Server/ServerCapabilities/**\", "+
			"\"/Objects/Server/ServerDiagnostics/**\"]\n", strings.Replace(endpoint, "127.0.0.1", "10.0.2.2", 1)),
		"rx.toml": common + "[[opcua]]\nchannel = \"press-line\"\nlisten = \"opc.tcp://0.0.0.0:4840\"\n" +
			"security = [\"None\"]\nanonymous = true\n",
		"network.toml": address,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tmp", "proc"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	const script = `mount -t proc proc "$0/proc" && exec chroot "$0" /dist/heliograph flash --pair --board virt \
		--tx-config /tx.toml --rx-config /rx.toml --tx-network /network.toml --rx-network /network.toml /tx.img /rx.img`
	c := exec.Command("unshare", "--net", "--mount", "sh", "-c", script, root)
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("flash: %v\n%s", err, said)
	}
	t.Logf("%s", said)
}
