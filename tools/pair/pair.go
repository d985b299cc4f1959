// Package pair starts heliotx and heliorx as processes on this machine: it finds
// ports, makes the pair key, writes both configurations, starts the programs, reads
// their status and ends them. Demo, measurements and tests are built on it.
//
// It uses loopback alone, apart from the link that its caller names. It refuses to
// clean up what it did not make: the folder is its caller's.
package pair

import (
	"fmt"
	"os"
	"path/filepath"

	"heliograph/ci/freeport"
	"heliograph/firmware/config/pairkey"
)

// End is what the configuration of one role has beside what every role has.
type End struct {
	Link   string // keys of the table [link], but key_file
	Tables string // what follows [status]: sources or sinks
}

// UDP is the link of a role over UDP, at the rate that the pair's tests use.
func UDP(address string) string {
	return fmt.Sprintf("medium = \"udp\"\naddress = %q\nrate = \"100Mbit/s\"\n", address)
}

// Serial is the link of a role over a serial device.
func Serial(device string) string {
	return fmt.Sprintf("medium = \"uart\"\ndevice = %q\nbaud = 921600\n", device)
}

// Gateway is a pair of roles with all their files in one folder: pair.key,
// tx.toml, rx.toml, state-tx and state-rx.
type Gateway struct {
	Dir    string
	TX, RX Role
}

// Config is what a pair is made of.
type Config struct {
	Name     string // of the pair
	Programs string // folder of heliotx and heliorx
	Dir      string // folder for the pair's files
	TX, RX   End
}

// New writes the files of a pair, which is then ready to be started.
func New(c Config) (*Gateway, error) {
	ports, err := freeport.Several(2)
	if err != nil {
		return nil, fmt.Errorf("pair: %w", err)
	}
	g := &Gateway{Dir: c.Dir}
	g.TX = Role{Program: filepath.Join(c.Programs, "heliotx"), Config: filepath.Join(c.Dir, "tx.toml"),
		StatusPort: ports[0]}
	g.RX = Role{Program: filepath.Join(c.Programs, "heliorx"), Config: filepath.Join(c.Dir, "rx.toml"),
		StatusPort: ports[1]}
	for _, r := range []*Role{&g.TX, &g.RX} {
		if _, err := os.Stat(r.Program); err != nil {
			return nil, fmt.Errorf("pair: %s is not in %s: run \"make build\"", filepath.Base(r.Program), c.Programs)
		}
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "pair.key"), pairkey.Format(pairkey.New()), 0o600); err != nil {
		return nil, fmt.Errorf("pair: %w", err)
	}
	if err := g.TX.configure(c.Name, "state-tx", c.TX); err != nil {
		return nil, err
	}
	return g, g.RX.configure(c.Name, "state-rx", c.RX)
}

// configure writes the role's configuration.
func (r *Role) configure(name, state string, e End) error {
	text := fmt.Sprintf("pair = %q\n[link]\n%skey_file = \"pair.key\"\n[state]\ndirectory = %q\n[status]\nlisten = "+
		"\"127.0.0.1:%d\"\n%s",
		name, e.Link, state, r.StatusPort, e.Tables)
	if err := os.WriteFile(r.Config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("pair: %w", err)
	}
	return nil
}
