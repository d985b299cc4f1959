// Package settings reads what a board is given, the role's configuration and
// network.toml, and checks both against each other and against the board.
//
// Faults are config.Faults, FILE:LINE: message; a file that cannot be
// read is config.Unread, the other role's config.OtherRole. The package changes nothing,
// and refuses nothing of its own: what does not fit
// package boards/fit decides.
package settings

import (
	"bytes"
	"errors"

	"heliograph/boards"
	"heliograph/boards/fit"
	"heliograph/firmware/config"
	"heliograph/rootfs/network"
)

// Files are those of one board. Either may be "".
type Files struct {
	Board   boards.Board // the zero value: any machine
	Config  string
	Network string

	KeyLater string // what makes a pair key that is missing, see config.Machine; "": it must be there
}

// TX reads the files of the plant's board.
func (f Files) TX() (config.TX, []config.Warning, error) {
	return read(f, config.Machine.LoadTX, func(c config.TX) config.Link { return c.Link })
}

// RX reads the files of IT's board.
func (f Files) RX() (config.RX, []config.Warning, error) {
	return read(f, config.Machine.LoadRX, func(c config.RX) config.Link { return c.Link })
}

// Common is what the configurations of both roles have.
type Common struct {
	Pair, State, PKI string
	Link             config.Link
}

// Role reads the files of a board of a role, tx or rx.
func (f Files) Role(role string) (Common, []config.Warning, error) {
	if role == "rx" {
		c, warnings, err := f.RX()
		return Common{c.Pair, c.State, c.PKI, c.Link}, warnings, err
	}
	c, warnings, err := f.TX()
	return Common{c.Pair, c.State, c.PKI, c.Link}, warnings, err
}

// Check returns what is wrong with the files of a board of a role, tx or rx.
func (f Files) Check(role string) ([]config.Warning, error) {
	_, warnings, err := f.Role(role)
	return warnings, err
}

// Both are the configurations of a pair.
type Both struct {
	TX       config.TX
	RX       config.RX
	Warnings []config.Warning
}

// Pair reads the files of both boards, and compares them.
func Pair(tx, rx Files) (both Both, err error) {
	var more []config.Warning
	var failed error
	both.TX, both.Warnings, err = tx.TX()
	both.RX, more, failed = rx.RX()
	both.Warnings = append(both.Warnings, more...)
	if err = join(err, failed); err != nil {
		return both, err
	}
	faults, more := config.ComparePair(config.File[config.TX]{Name: tx.Config, Config: both.TX},
		config.File[config.RX]{Name: rx.Config, Config: both.RX})
	both.Warnings = append(both.Warnings, more...)
	if len(faults) > 0 {
		return both, faults
	}
	return both, nil
}

// join keeps the faults of two files one error.
func join(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	one, ok := errors.AsType[config.Faults](a)
	other, both := errors.AsType[config.Faults](b)
	if ok && both {
		return append(one, other...)
	}
	return errors.Join(a, b)
}

func read[C any](f Files, load func(config.Machine, string) (C, []config.Warning, error), link func(C) config.Link,
) (c C, warnings []config.Warning, err error) {
	document, n, err := Network(f.Network)
	known := fit.Network{Interface: n.Interface, Address: n.Address}
	if f.Config != "" {
		var failed error
		m := fit.Machine(f.Board, known)
		m.KeyLater = f.KeyLater
		c, warnings, failed = load(m, f.Config)
		err = join(failed, err)
	}
	if faults := config.Misfits(f.Network, document, fit.CheckNetwork(f.Board, known, link(c))); len(faults) > 0 {
		err = join(err, faults)
	}
	return c, warnings, err
}

// Network reads a network.toml, and returns its text, too. Without a name both are empty. Its faults
// are config.Faults; a file that cannot be read is config.Unread.
func Network(file string) ([]byte, network.Config, error) {
	if file == "" {
		return nil, network.Config{}, nil
	}
	document, err := config.ReadFile(file)
	if err != nil {
		return nil, network.Config{}, config.Unread{Err: err}
	}
	n, err := network.Parse(bytes.NewReader(document))
	wrong, ok := errors.AsType[network.Fault](err)
	switch {
	case ok && wrong.Line > 0:
		err = config.Faults{{File: file, Line: wrong.Line, Message: wrong.Message}}
	case ok:
		err = config.Misfits(file, document, []config.Misfit{{Key: wrong.Key, Message: wrong.Message}})
	}
	return document, n, err
}
