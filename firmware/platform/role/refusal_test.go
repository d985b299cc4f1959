package role

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
)

// A refused configuration is shown by a program that reads no configuration.
func TestRefusalIsShownUntilTheProgramIsEnded(t *testing.T) {
	address := await.FreeAddress(t)
	file := filepath.Join(t.TempDir(), "refusal.json")
	refusal := handover.Refusal{Listen: address, Faults: []string{"heliograph.toml:3: a <fault>", "pair.key: another"}}
	if err := handover.WriteRefusal(file, refusal); err != nil {
		t.Fatal(err)
	}
	t.Setenv(handover.Refused, file)
	p := Program{Name: "heliotx", Version: "v1", Check: func(string) ([]config.Warning, error) {
		t.Error("it read a configuration")
		return nil, nil
	}}
	code := make(chan int)
	go func() { code <- Main(p, nil, io.Discard, io.Discard) }()
	get := func(path string) (int, string, error) {
		r, err := http.Get("http://" + address + path)
		if err != nil {
			return 0, "", err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		return r.StatusCode, string(b), err
	}
	await.True(t, "the page answers", func() bool { _, _, err := get("/healthz"); return err == nil })
	if _, body, _ := get("/status.json"); !strings.Contains(body, `"pattern": "6 flashes"`) ||
		!strings.Contains(body, `"text": "the configuration is refused: heliograph.toml:3`) {
		t.Errorf("got no LED or no trust in\n%s", body)
	}
	for path, want := range map[string]string{
		"/":            "heliograph.toml:3: a &lt;fault&gt;",
		"/status.json": `"heliograph.toml:3: a \u003cfault\u003e"`,
		"/readyz":      "configuration: pair.key: another\n",
		"/metrics":     "heliograph_role_ready 0",
	} {
		status, body, err := get(path)
		unavailable := status == http.StatusServiceUnavailable
		if err != nil || !strings.Contains(body, want) || unavailable != (path == "/readyz") {
			t.Errorf("%s: got %d, %v, no %q in\n%s", path, status, err, want, body)
		}
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != OK {
		t.Errorf("got exit code %d, want 0", got)
	}
}

func TestARefusalThatCannotBeReadEndsTheProgram(t *testing.T) {
	t.Setenv(handover.Refused, filepath.Join(t.TempDir(), "none"))
	var out bytes.Buffer
	got := Main(Program{Name: "heliotx"}, nil, &out, &out)
	if got != Failure || !strings.Contains(out.String(), "none") {
		t.Errorf("got exit code %d and %q, want %d", got, &out, Failure)
	}
}
