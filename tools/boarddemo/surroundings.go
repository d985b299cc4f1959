package boarddemo

import (
	"bufio"
	"cmp"
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
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image"
	"heliograph/tools/plant"
)

// surroundings are the plant and the collector of a pair that is made here.
type surroundings struct {
	Sent, Arrived atomic.Uint64 // syslog lines
	plant         *plant.Server
	collector     net.Listener
	mu            sync.Mutex
	last          string // line at the collector
}

func surround() (*surroundings, error) {
	s := &surroundings{}
	var err error
	if s.plant, err = plant.NewServer(tags); err != nil {
		return nil, err
	}
	if s.collector, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		_ = s.plant.Close()
		return nil, err
	}
	go s.collect()
	return s, nil
}

func (s *surroundings) close() {
	_ = s.collector.Close()
	_ = s.plant.Close()
}

// line says what has crossed.
func (s *surroundings) line() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("syslog   %d lines sent, %d at IT's collector: %s", s.Sent.Load(), s.Arrived.Load(),
		cmp.Or(s.last, "nothing yet"))
}

// common is of both configurations.
const common = `pair = "board-demo"

[link]
medium   = "uart"
device   = "/dev/ttyAMA0"
baud     = 115200
key_file = "pair.key"

`

// address is what the emulator's network gives.
const address = "hostname = \"demo-%s\"\ninterface = \"eth0\"\naddress = \"dhcp\"\n"

// cards makes both in a folder.
func (s *surroundings) cards(o Options, folder string) (tx, rx string, err error) {
	key := pairkey.Format(pairkey.New())
	board, _ := boards.ByName(emulated)
	host := board.Network.Emulator
	for role, text := range map[string]string{
		"tx": common + fmt.Sprintf(`[status]
listen = "0.0.0.0:9464"

[[syslog]]
channel = "syslog"
listen = ["udp://0.0.0.0:514"]

[[opcua]]
channel = "press-line"
endpoint = "%s"
security_policy = "None"
publishing_interval = "1s"
exclude = ["/Types/**", "/Objects/Server/ServerCapabilities/**", "/Objects/Server/ServerDiagnostics/**"]
`, strings.Replace(s.plant.Endpoint, "127.0.0.1", host, 1)),
		"rx": common + fmt.Sprintf(`[status]
listen = "0.0.0.0:9465"

[[syslog]]
channel = "syslog"
forward = "tcp://%s:%d"

[[opcua]]
channel = "press-line"
listen = "opc.tcp://0.0.0.0:4840"
security = ["None"]
anonymous = true
`, host, portNumber(s.collector)),
	} {
		at := filepath.Join(folder, role)
		if err := os.Mkdir(at, 0o700); err != nil {
			return "", "", err
		}
		for name, content := range map[string][]byte{configName: []byte(text), "pair.key": key,
			networkName: fmt.Appendf(nil, address, role)} {
			if err := os.WriteFile(filepath.Join(at, name), content, 0o600); err != nil {
				return "", "", err
			}
		}
		if err := image.Build(image.Options{Role: role, Board: board, Config: filepath.Join(at, configName),
			Network: filepath.Join(at, networkName), Images: o.Images, Source: o.Source, Version: o.Version,
			Output: card(folder, role)}); err != nil {
			return "", "", err
		}
	}
	return card(folder, "tx"), card(folder, "rx"), nil
}

func card(folder, role string) string { return filepath.Join(folder, role+".img") }

// say has the plant say something each second, once its board is there.
func (s *surroundings) say(ctx context.Context, tx *Machine, ports []Port) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	at := ""
	for _, p := range ports {
		if p.What == syslogOf {
			at = fmt.Sprintf("127.0.0.1:%d", p.Here)
		}
	}
	c, err := net.Dial("udp", at)
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
		s.plant.Change(change%tags, time.Now())
		if tx.Up() {
			n := s.Sent.Load() + 1
			if _, err := fmt.Fprintf(c, "<14>1 %s press-hall demo - - - line %d of the plant",
				time.Now().UTC().Format(time.RFC3339), n); err == nil {
				s.Sent.Add(1)
			}
		}
	}
}

// collect is IT's syslog collector: each message comes after its length (RFC 6587, 3.4.1).
func (s *surroundings) collect() {
	for {
		c, err := s.collector.Accept()
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
					s.Arrived.Add(1)
					s.mu.Lock()
					s.last = line
					s.mu.Unlock()
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
