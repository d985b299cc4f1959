package qemu

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const common = `pair = "press-hall"

[link]
medium   = "uart"
device   = "/dev/ttyAMA0"
baud     = 115200
key_file = "pair.key"

[status]
listen = "0.0.0.0:9464"

[[syslog]]
channel = "syslog"
`

// A pair of boards on one UART: what TX sends reaches RX, and the wire carries
// nothing the other way. RX comes first, because a port that is not raw yet
// echoes.
func TestHeartbeatCrossesBetweenTwoBoards(t *testing.T) {
	need(t, "qemu-system-aarch64")
	need(t, "mcopy")
	folder := t.TempDir()
	sent, back := filepath.Join(folder, "tx"), filepath.Join(folder, "rx.out")
	for _, name := range []string{sent, filepath.Join(folder, "rx.in")} {
		if err := unix.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(back, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wire(t, sent, filepath.Join(folder, "rx.in"))

	status := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	rx := boot(t, build(t, "rx", common+"forward = \"udp://10.0.2.2:601\"\n"), status, "pipe,path="+filepath.Join(folder, "rx"))
	rx.poll(t, "http://"+status+"/healthz")
	tx := boot(t, build(t, "tx", common+"listen = [\"udp://0.0.0.0:514\"]\n"), fmt.Sprintf("127.0.0.1:%d", freePort(t)), "file,path="+sent)
	tx.wait(t, "msg=starting program=heliotx")
	for frames(t, status) < 10 {
		tx.pause(t, "no frame reaches RX, whose console says\n"+rx.console.String())
	}
	if got, err := os.ReadFile(back); len(got) != 0 || err != nil {
		t.Errorf("RX put %d bytes on the link, %v; want none", len(got), err)
	}
}

// wire carries bytes from one FIFO to another. Both are opened for both
// directions, so that neither end waits for the other's machine.
func wire(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(out, in) // ends when the test closes them
	}()
	t.Cleanup(func() { in.Close(); out.Close(); <-done })
}

// frames asks RX how many frames it took.
func frames(t *testing.T, status string) int {
	t.Helper()
	r, err := http.Get("http://" + status + "/status.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var got struct {
		Link struct {
			Frames int `json:"frames"`
		} `json:"link"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got.Link.Frames
}
