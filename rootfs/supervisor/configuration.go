package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/release"
	"heliograph/rootfs/sandbox"
)

// Limits of a role. Our own choices.
const (
	maxFiles   = 8192
	maxThreads = 512
)

// configurationFile is the role's, in its home folder.
const configurationFile = "heliograph.toml"

// configuration is what PID 1 uses of the role's configuration.
type configuration struct {
	link  config.Link
	ports config.Ports
}

// paths are what of the role's configuration the console uses.
type paths struct {
	link    config.Link
	pki     string // folder of certificates
	state   string // folder of state
	keyFile string // pair key
}

// configuredPaths returns the paths of the newest configuration, empty ones before
// the first.
func (s *Supervisor) configuredPaths() paths {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paths
}

// Link returns the device or interface of the configured link; "" for UDP, and before
// the configuration was read.
func (s *Supervisor) Link() string {
	l := s.configuredPaths().link
	return l.Device + l.Interface // one of two is empty
}

// readConfiguration reads the role's configuration, and logs what is wrong with it.
func (s *Supervisor) readConfiguration() (configuration, error) {
	name := filepath.Join(s.Folders.Home, configurationFile)
	var c configuration
	var pki, state string
	var err error
	var m config.Machine
	if s.Machine != nil {
		m = s.Machine()
	}
	if s.Role == "tx" {
		var tx config.TX
		tx, _, err = m.LoadTX(name)
		c, pki, state = configuration{tx.Link, tx.Ports()}, tx.PKI, tx.State
	} else {
		var rx config.RX
		rx, _, err = m.LoadRX(name)
		c, pki, state = configuration{rx.Link, rx.Ports()}, rx.PKI, rx.State
	}
	s.mu.Lock()
	s.paths = paths{link: c.link, pki: pki, state: state, keyFile: c.link.KeyFile}
	s.mu.Unlock()
	if err == nil {
		return c, nil
	}
	return c, s.refusal(err)
}

// refused says that no restart helps before the configuration changes. Its faults name
// files as they are called in the card's folder heliograph.
type refused struct{ faults []string }

// Error implements error with the first fault.
func (r refused) Error() string {
	if more := len(r.faults) - 1; more > 0 {
		return fmt.Sprintf("%s (and %d more)", r.faults[0], more)
	}
	return r.faults[0]
}

// refusal returns the faults of a configuration that was not read.
func (s *Supervisor) refusal(err error) refused {
	var r refused
	faults, ok := errors.AsType[config.Faults](err)
	switch {
	case ok:
		for _, f := range faults {
			r.faults = append(r.faults, f.Error())
		}
	case errors.Is(err, fs.ErrNotExist):
		return refused{[]string{"there is no configuration: copy " + configurationFile + " and the files that it " +
			"names into the folder heliograph of the boot partition"}}
	default:
		r.faults = []string{err.Error()}
	}
	for i, f := range r.faults {
		r.faults[i] = strings.ReplaceAll(f, s.Folders.Home+"/", "")
	}
	return r
}

// spec returns the sandbox of the role.
func (s *Supervisor) spec(c configuration, keys *os.File) sandbox.Spec {
	home, state := s.Folders.Home, s.Folders.State
	return sandbox.Spec{
		Program:   "/bin/helio" + s.Role,
		Arguments: []string{"--config", filepath.Join(home, configurationFile)},
		Environment: []string{"HOME=" + state, handover.Setting(handover.Link, sandbox.LinkDescriptor),
			handover.Setting(handover.Keys, sandbox.KeyDescriptor), handover.Setting(handover.Report, 1),
			handover.Board + "=" + s.Board},
		Link: s.link, Keys: keys, Direction: s.direction(),
		UID: uint32(s.User), GID: uint32(s.User),
		State: state, Bind: c.ports.Listen, Connect: c.ports.Connect, Files: maxFiles, Threads: maxThreads,
		Read: []string{home, filepath.Dir(release.StateFile), "/etc/hosts", "/etc/resolv.conf", "/etc/ssl/certs",
			"/etc/localtime", "/usr/share/zoneinfo", "/proc/sys/net/core/somaxconn"},
	}
}
