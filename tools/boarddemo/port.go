package boarddemo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"heliograph/boards"
	"heliograph/ci/freeport"
	"heliograph/firmware/config"
	"heliograph/rootfs/network"
	"heliograph/tools/boarddemo/emulator"
	"heliograph/tools/image"
	"heliograph/tools/settings"
)

// Port is one of a board, and where this machine reaches it.
type Port struct {
	What   string // page, mirror, broker, syslog, console
	Scheme string
	Board  int // its number there; 0: not a port of the network
	Here   int
}

// URL is where this machine reaches it.
func (p Port) URL() string {
	slash := ""
	if strings.HasPrefix(p.Scheme, "http") {
		slash = "/"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d%s", p.Scheme, p.Here, slash)
}

// forward is the emulator's option for it.
func (p Port) forward() string {
	network := "tcp"
	if p.Scheme == "udp" {
		network = "udp"
	}
	return fmt.Sprintf("hostfwd=%s:127.0.0.1:%d-:%d", network, p.Here, p.Board)
}

// What ports are for.
const (
	pageOf    = "page"
	mirrorOf  = "mirror"
	brokerOf  = "broker"
	syslogOf  = "syslog"
	consoleOf = "console"
)

// Our own choices.
const (
	lowPorts    = 1024 // which a user may not open
	aboveLow    = 5000 // is added to one of them
	txConsoleAt = 4001
	rxConsoleAt = 4002
)

// cardPorts returns the ports that the role on a card listens on, and refuses a card that
// the emulator cannot boot as it is.
func cardPorts(role, card string) ([]Port, error) {
	fault := func(format string, a ...any) ([]Port, error) {
		return nil, fmt.Errorf("%s: "+format, append([]any{card}, a...)...)
	}
	f, err := os.Open(card)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := image.Manifest(f)
	if err != nil {
		return fault("%w", err)
	}
	if m.Board != emulated || m.Role != role {
		return fault("it is the card of %s for board %s, and not of %s for %s: make it with "+
			"\"heliograph flash --pair --board %[5]s\"", m.Role, m.Board, role, emulated)
	}
	c, err := image.ReadContent(f)
	if err != nil {
		return fault("%w", err)
	}
	if c[configName] == nil {
		return fault("it has no configuration: put one in with \"heliograph image configure\"")
	}
	dir, err := os.MkdirTemp("", "heliograph-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := c.Save(dir); err != nil {
		return fault("%w", err)
	}
	list, err := listeners(role, dir, c[networkName] != nil)
	if err != nil {
		return fault("%s", strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return list, nil
}

// listeners reads a configuration that lies in a folder, with network.toml or not.
func listeners(role, dir string, addressed bool) (list []Port, err error) {
	board, _ := boards.ByName(emulated)
	files := settings.Files{Board: board, Config: filepath.Join(dir, configName),
		Network: filepath.Join(dir, networkName)}
	if err := reached(files.Network, addressed); err != nil {
		return nil, fmt.Errorf("%w: put one with address = \"dhcp\" in with \"heliograph image configure --network\"",
			err)
	}
	var link config.Link
	if role == "tx" {
		var c config.TX
		c, _, err = files.TX()
		link, list = c.Link, transmitterPorts(c)
	} else {
		var c config.RX
		c, _, err = files.RX()
		link, list = c.Link, receiverPorts(c)
	}
	if err == nil && link.Medium != config.UART {
		err = fmt.Errorf("its link is %s: emulated boards are joined by a serial line, medium = \"uart\"", link.Medium)
	}
	return list, err
}

// reached says why nothing reaches a board with this network.toml.
func reached(file string, there bool) error {
	if !there {
		return errors.New("it has no network.toml, so that nothing reaches its board")
	}
	text, err := config.ReadFile(file)
	if err != nil {
		return err
	}
	c, err := network.Parse(bytes.NewReader(text))
	if err == nil && !c.DHCP && c.Address.Addr().String() != emulator.Guest {
		err = fmt.Errorf("its network.toml gives the board %s, and the emulator %s", c.Address.Addr(), emulator.Guest)
	}
	return err
}

func transmitterPorts(c config.TX) (list []Port) {
	list = add(list, pageOf, page(c.Status))
	for _, s := range c.Syslog {
		list = add(list, syslogOf, s.Listen...)
	}
	return list
}

func receiverPorts(c config.RX) (list []Port) {
	list = add(list, pageOf, page(c.Status))
	for _, s := range c.OPCUA {
		list = add(list, mirrorOf, s.Listen)
	}
	list = add(list, mirrorOf, c.Announce.OPCUA.Listen)
	for _, s := range c.MQTT {
		list = add(list, brokerOf, s.Listen)
	}
	return list
}

// add adds the ports of URLs that a role listens on; "" is none.
func add(list []Port, what string, addresses ...string) []Port {
	for _, a := range addresses {
		u, err := url.Parse(a)
		if a == "" || err != nil {
			continue
		}
		if n, err := strconv.Atoi(u.Port()); err == nil && n > 0 {
			list = append(list, Port{What: what, Scheme: u.Scheme, Board: n})
		}
	}
	return list
}

// page is the URL of a status page, "" for none.
func page(s config.Status) string {
	switch {
	case s.Listen == "":
		return ""
	case s.Secure:
		return "https://" + s.Listen
	}
	return "http://" + s.Listen
}

// reachable gives ports a place on this machine: their own number where it is free.
func reachable(taken map[int]bool, list []Port) ([]Port, error) {
	for i, p := range list {
		want := cmp.Or(p.Here, p.Board)
		if want < lowPorts {
			want += aboveLow
		}
		if taken[want] || !free(want) {
			var err error
			if want, err = freeport.Get(); err != nil {
				return nil, err
			}
		}
		list[i].Here, taken[want] = want, true
	}
	return list, nil
}

// free says whether nothing has a port of loopback.
func free(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return p.Close() == nil
}
