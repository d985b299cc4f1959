package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Where a role finds what it is handed.
const (
	LinkDescriptor = 3
	KeyDescriptor  = 4 // if there is a Spec.Keys
)

// Direction is the one way that a role uses its link.
type Direction int

// The directions.
const (
	Transmit Direction = iota + 1 // TX: it writes the link and never reads it
	Receive                       // RX: it reads the link and never writes it
)

// Spec says what runs in the sandbox and what is left to it.
type Spec struct {
	Program     string   // absolute path of a static binary
	Arguments   []string // without the program's name
	Environment []string // all of it: nothing is inherited

	Link      *os.File `json:"-"`
	Direction Direction

	// Keys is a pipe that the role has its pair keys from, whose files it may not
	// read; nil for none.
	Keys       *os.File `json:"-"`
	KeysHanded bool     // set by Command

	UID, GID uint32 // neither may be 0

	// Read are files and folders to read; what is missing is left out. Both roles
	// use their configuration's folder, /etc/hosts, /etc/resolv.conf,
	// /etc/ssl/certs, /etc/localtime, /usr/share/zoneinfo,
	// /proc/sys/net/core/somaxconn.
	Read  []string
	State string // folder to write, which belongs to UID

	// Bind and Connect are the TCP ports that the role may listen on and connect to.
	Bind, Connect []uint16

	Files   uint64 // most open files
	Threads uint64 // most threads of all processes of this user
}

const stageName = "heliograph-sandbox"

// Command returns the command that runs a role. Like any command it is to be
// started once; its standard streams are the caller's to set, to files or pipes.
// A role that dies of SIGSYS tried what no role does. The caller keeps the link
// open, and starts the next one with it.
func Command(s Spec) (*exec.Cmd, error) {
	if err := CheckLink(s.Link, s.Direction); err != nil {
		return nil, err
	}
	return command(s)
}

func command(s Spec) (*exec.Cmd, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	s.KeysHanded = s.Keys != nil
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sandbox: encoding the order: %w", err)
	}
	c := exec.Command("/proc/self/exe")
	c.Args = []string{stageName, string(b)}
	c.Env = []string{} // not nil, which would inherit
	c.Dir = "/"
	c.ExtraFiles = []*os.File{s.Link}
	if s.KeysHanded {
		c.ExtraFiles = append(c.ExtraFiles, s.Keys)
	}
	return c, nil
}

func (s *Spec) check() error {
	switch {
	case !filepath.IsAbs(s.Program):
		return fmt.Errorf("sandbox: program %q: use an absolute path", s.Program)
	case !filepath.IsAbs(s.State):
		return fmt.Errorf("sandbox: state folder %q: use an absolute path", s.State)
	case s.Direction != Transmit && s.Direction != Receive:
		return fmt.Errorf("sandbox: direction %d is neither Transmit nor Receive", s.Direction)
	case s.UID == 0 || s.GID == 0:
		return errors.New("sandbox: a role does not run as root; give it a user and a group of its own")
	case s.Files == 0 || s.Threads == 0:
		return errors.New("sandbox: no limit of files or threads; set both")
	}
	for _, p := range s.Read {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("sandbox: path %q: use an absolute path", p)
		}
	}
	return nil
}
