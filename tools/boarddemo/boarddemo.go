// Package boarddemo boots two emulated boards from the images that cards get, on this
// machine: a newcomer's first appliance.
//
//	simulated plant ─▶ TX board ══ one-way line, carried here ══▶ RX board ─▶ collector
//	OPC UA, syslog      QEMU virt                                  QEMU virt    here
//
// It takes base images of a release, or a checkout, and QEMU; neither root nor cards nor
// network. What arrives on the line from RX is counted and goes nowhere. All files are in
// a folder of their own that is removed at the end. It refuses nothing that real boards
// accept, and proves nothing about real boards.
package boarddemo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/boards"
	"heliograph/ci/freeport"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image"
	"heliograph/tools/plant"
)

// Options say where the images come from.
type Options struct {
	Images   string // folder with base images; "": beside this program
	Source   string // checkout that images are built from where there are none
	Version  string // of this program
	Progress io.Writer
}

// Our own choices.
const (
	tags       = 5
	sayEvery   = time.Second
	mostLine   = 64 << 10
	emulated   = "virt"
	configName = "heliograph.toml"
)

// Demo is the running pair. Its methods are safe for concurrent use.
type Demo struct {
	TX, RX           *Machine
	Page, Mirror     string // URLs at which this machine reaches RX's status page and OPC UA mirror
	TXPage           string
	Sent             atomic.Uint64 // syslog lines
	Arrived          atomic.Uint64
	LinkBytes        atomic.Uint64 // that TX has put on the line
	Reverse          atomic.Uint64 // bytes that RX has put on it
	folder           string
	plant            *plant.Server
	collector        net.Listener
	lines            string // address that reaches TX's syslog port
	mu               sync.Mutex
	last             string // line at the collector
	txWires, rxWires net.Listener
}

// Last returns the newest line that the collector has.
func (d *Demo) Last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// Start makes the images and boots the boards. To be closed; the end of ctx ends the
// boards.
func Start(ctx context.Context, o Options) (d *Demo, err error) {
	program, err := findQEMU()
	if err != nil {
		return nil, err
	}
	d = &Demo{}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if d.folder, err = os.MkdirTemp("", "heliograph-board-demo-"); err != nil {
		return nil, err
	}
	if d.plant, err = plant.NewServer(tags); err != nil {
		return nil, err
	}
	for _, l := range []*net.Listener{&d.collector, &d.txWires, &d.rxWires} {
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	ports, err := freeport.Several(4)
	if err != nil {
		return nil, err
	}
	if err := d.images(o); err != nil {
		return nil, err
	}
	d.lines = fmt.Sprintf("127.0.0.1:%d", ports[0])
	d.Page, d.TXPage = fmt.Sprintf("http://127.0.0.1:%d/", ports[1]), fmt.Sprintf("http://127.0.0.1:%d/", ports[2])
	d.Mirror = fmt.Sprintf("opc.tcp://127.0.0.1:%d", ports[3])
	go d.collect()
	go d.carry()
	if d.RX, err = boot(ctx, program, d.card("rx"), d.rxWires.Addr().(*net.TCPAddr).Port,
		forward("tcp", ports[1], 9464), forward("tcp", ports[3], 4840)); err != nil {
		return nil, err
	}
	if d.TX, err = boot(ctx, program, d.card("tx"), d.txWires.Addr().(*net.TCPAddr).Port,
		forward("tcp", ports[2], 9464), forward("udp", ports[0], 514)); err != nil {
		return nil, err
	}
	go d.say(ctx)
	return d, nil
}

func (d *Demo) card(role string) string { return filepath.Join(d.folder, role+".img") }

// Close ends the boards and removes their cards.
func (d *Demo) Close() {
	for _, m := range []*Machine{d.TX, d.RX} {
		if m != nil {
			m.cut()
		}
	}
	for _, l := range []net.Listener{d.collector, d.txWires, d.rxWires} {
		if l != nil {
			_ = l.Close()
		}
	}
	if d.plant != nil {
		_ = d.plant.Close()
	}
	if d.folder != "" {
		_ = os.RemoveAll(d.folder)
	}
}

// settings are the same on both boards.
const settings = `pair = "board-demo"

[link]
medium   = "uart"
device   = "/dev/ttyAMA0"
baud     = 115200
key_file = "pair.key"

[status]
listen = "0.0.0.0:9464"

`

// network is what the emulator expects of its guest.
const network = "hostname = \"demo-%s\"\ninterface = \"eth0\"\naddress = \"10.0.2.15/24\"\ngateway = \"10.0.2.2\"\n"

// images makes both cards.
func (d *Demo) images(o Options) error {
	key := pairkey.Format(pairkey.New())
	for role, text := range map[string]string{
		"tx": settings + fmt.Sprintf(`[[syslog]]
channel = "syslog"
listen = ["udp://0.0.0.0:514"]

[[opcua]]
channel = "press-line"
endpoint = "%s"
security_policy = "None"
publishing_interval = "1s"
exclude = ["/Types/**", "/Objects/Server/ServerCapabilities/**", "/Objects/Server/ServerDiagnostics/**"]
`, strings.Replace(d.plant.Endpoint, "127.0.0.1", "10.0.2.2", 1)),
		"rx": settings + fmt.Sprintf(`[[syslog]]
channel = "syslog"
forward = "tcp://10.0.2.2:%d"

[[opcua]]
channel = "press-line"
listen = "opc.tcp://0.0.0.0:4840"
security = ["None"]
anonymous = true
`, d.collector.Addr().(*net.TCPAddr).Port),
	} {
		at := filepath.Join(d.folder, role)
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		for name, content := range map[string][]byte{configName: []byte(text), "pair.key": key,
			"network.toml": fmt.Appendf(nil, network, role)} {
			if err := os.WriteFile(filepath.Join(at, name), content, 0o600); err != nil {
				return err
			}
		}
		board, ok := boards.ByName(emulated)
		if !ok {
			return errors.New("boarddemo: no board " + emulated)
		}
		if err := image.Build(image.Options{Role: role, Board: board, Config: filepath.Join(at, configName),
			Network: filepath.Join(at, "network.toml"), Images: o.Images, Source: o.Source, Version: o.Version,
			Output: d.card(role)}); err != nil {
			return err
		}
	}
	return nil
}

// carry is the line: bytes go from TX to RX. What RX sends is counted.
func (d *Demo) carry() {
	rx, err := d.rxWires.Accept()
	if err != nil {
		return
	}
	defer rx.Close()
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := rx.Read(b)
			d.Reverse.Add(uint64(n))
			if err != nil {
				return
			}
		}
	}()
	tx, err := d.txWires.Accept()
	if err != nil {
		return
	}
	defer tx.Close()
	b := make([]byte, 4096)
	for {
		n, err := tx.Read(b)
		d.LinkBytes.Add(uint64(n))
		if err != nil {
			return
		}
		if _, err := rx.Write(b[:n]); err != nil {
			return
		}
	}
}

// say has the plant say something each second, once its board is there.
func (d *Demo) say(ctx context.Context) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	c, err := net.Dial("udp", d.lines)
	if err != nil {
		return
	}
	defer c.Close()
	for change := 0; ; change++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		d.plant.Change(change%tags, time.Now())
		if d.TX.Up() {
			n := d.Sent.Load() + 1
			if _, err := fmt.Fprintf(c, "<14>1 %s press-hall demo - - - line %d of the plant",
				time.Now().UTC().Format(time.RFC3339), n); err == nil {
				d.Sent.Add(1)
			}
		}
	}
}

// collect is IT's syslog collector: each message comes after its length (RFC 6587, 3.4.1).
func (d *Demo) collect() {
	for {
		c, err := d.collector.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for r := bufio.NewReader(c); ; {
				text, err := message(r)
				if err != nil {
					return
				}
				if _, line, ok := strings.Cut(text, " - - - "); ok {
					d.Arrived.Add(1)
					d.mu.Lock()
					d.last = line
					d.mu.Unlock()
				}
			}
		}()
	}
}

// message reads the next one.
func message(r *bufio.Reader) (string, error) {
	var length int
	if _, err := fmt.Fscanf(r, "%d ", &length); err != nil {
		return "", err
	}
	if length < 0 || length > mostLine {
		return "", errors.New("boarddemo: a message is too long")
	}
	b := make([]byte, length)
	_, err := io.ReadFull(r, b)
	return string(b), err
}
