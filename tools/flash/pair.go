package flash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image"
	"heliograph/tools/settings"
)

// Pair is what both cards of a pair are made from.
type Pair struct {
	TX, RX  Side
	Board   boards.Board
	Source  string // folder of the checkout
	Version string
	Build   func(image.Options) error

	UpdateKey string // file of the public key of updates; without one the boards take none
	Release   uint64 // number of the release; 0: the base image's
	KeepKey   string // new file for the pair key; without one it is on the cards alone
}

// Side is one of the boards. RX without a target gets the reader that TX had.
type Side struct{ Config, Network, Target string }

func (s Side) files(b boards.Board) settings.Files {
	return settings.Files{Board: b, Config: s.Config, Network: s.Network}
}

// Pair makes the pair key, both identities and both images, and writes them. A key
// file that the configurations name and that is there is used; one that is missing
// is made and removed again, so that the key is on the cards alone, or in KeepKey too.
func (d Writer) Pair(ctx context.Context, p Pair) (err error) {
	oneReader, err := d.checkTargets(p)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(p.KeepKey); p.KeepKey != "" && err == nil {
		return fmt.Errorf("flash: keeping the key: %s exists: name another, or remove it", p.KeepKey)
	}
	k, err := pairKey(nil, p.TX.Config, p.RX.Config)
	defer remove(k.made)
	if err != nil {
		return err
	}
	if k.used != "" {
		fmt.Fprintf(d.Out, "uses the key in %s (key %s), which other cards may have: remove it for a new one\n", k.used,
			checkOf(k.key))
	}
	units, err := p.units(k.key)
	if err == nil {
		err = d.updates(p, units...)
	}
	if err == nil {
		d.sameName(units[0], units[1])
	}
	if err == nil && p.KeepKey != "" {
		if err = d.keep(p.KeepKey, k.key); err == nil {
			defer func() {
				if err != nil { // no pair has this key
					remove([]string{p.KeepKey})
				}
			}()
		}
	}
	if err != nil {
		return err
	}
	return d.cards(ctx, p, units[0], units[1], oneReader)
}

// cards makes the images of both boards and writes them, in one reader after the other
// if there is one.
func (d Writer) cards(ctx context.Context, p Pair, tx, rx *unit, oneReader bool) error {
	dir, err := os.MkdirTemp("", "heliograph-")
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, u := range []*unit{tx, rx} {
		fmt.Fprintf(d.Out, "making the image of %s\n", u.host)
		if err := p.image(dir, u); err != nil {
			return err
		}
	}
	if err := d.Card(ctx, tx.image, tx.target); err != nil {
		return err
	}
	if oneReader {
		rx.target = tx.target
		err = d.swap(ctx, tx, rx)
	}
	if err == nil {
		err = d.Card(ctx, rx.image, rx.target)
	}
	if err != nil {
		return fmt.Errorf("%w\nThe TX card has no partner now: flash the pair again, both cards", err)
	}
	fmt.Fprint(d.Out, tx.label(rx), rx.label(tx))
	return nil
}

// checkTargets refuses targets before there are images, and says whether one
// reader has to do for both.
func (d Writer) checkTargets(p Pair) (oneReader bool, err error) {
	tx, err := find(d.Machine, p.TX.Target)
	if err != nil {
		return false, err
	}
	if p.RX.Target == "" {
		if tx.isFile() {
			return false, errors.New("flash: name two plain files, for TX and for RX")
		}
		if d.Yes && !d.Terminal {
			return false, errors.New("flash: standard input is not a terminal, on which the change of cards in one " +
				"reader is confirmed: name two targets, for TX and for RX")
		}
		return true, d.Check(p.TX.Target)
	}
	rx, err := find(d.Machine, p.RX.Target)
	if err != nil {
		return false, err
	}
	same := !tx.isFile() && tx.drive.Name == rx.drive.Name
	if a, b := absolute(p.TX.Target), absolute(p.RX.Target); same || a == b {
		return false, fmt.Errorf("flash: both cards are %s: name two, or one alone to change cards in between",
			p.TX.Target)
	}
	return false, errors.Join(d.Check(p.TX.Target), d.Check(p.RX.Target))
}

// absolute names a file as it is reached without links, as far as it exists.
func absolute(name string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		dir = filepath.Dir(name)
	}
	at := filepath.Join(dir, filepath.Base(name))
	if target, err := filepath.EvalSymlinks(at); err == nil {
		at = target
	}
	at, _ = filepath.Abs(at)
	return at
}

// swap has the engineer change the cards in the one reader.
func (d Writer) swap(ctx context.Context, from, to *unit) error {
	question := fmt.Sprintf("Take the card of %s out of %s, put the one of %s in, and press Enter: ", from.host,
		from.target, to.host)
	if _, err := d.Ask(ctx, question); err != nil {
		why := "there was no answer"
		if ctx.Err() != nil {
			why = "stopped"
		}
		return fmt.Errorf("flash: %s: the card of %s is written, the one of %s is not", why, from.host, to.host)
	}
	first, err := firstSector(from.image)
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	if now, err := d.firstOn(to.target); err == nil && bytes.Equal(now, first) {
		return fmt.Errorf("flash: the card of %s is still in %s", from.host, from.target)
	}
	return nil
}

// firstOn returns the first sector of a target, which may be named by a letter.
func (d Writer) firstOn(name string) ([]byte, error) {
	t, err := find(d.Machine, name)
	if err == nil && !t.isFile() {
		name = t.drive.Path
	}
	return firstSector(name)
}

func firstSector(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, sector)
	return b, readAt(f, b, 0)
}

// units reads both configurations, and refuses two that do not belong together.
func (p Pair) units(key [pairkey.Size]byte) ([]*unit, error) {
	both, err := settings.Pair(p.TX.files(p.Board), p.RX.files(p.Board))
	if err != nil {
		return nil, refused("the configurations have faults, or do not belong together", err)
	}
	t := &unit{role: "tx", Side: p.TX, link: both.TX.Link}
	r := &unit{role: "rx", Side: p.RX, link: both.RX.Link}
	for _, u := range []*unit{t, r} {
		u.pair, u.board, u.target, u.check = both.TX.Pair, p.Board, u.Target, checkOf(key)
		if err := u.readNetwork(); err != nil {
			return nil, err
		}
	}
	return []*unit{t, r}, nil
}

// sameName warns of two boards that one network and one log cannot tell apart.
func (d Writer) sameName(a, b *unit) {
	if strings.EqualFold(a.host, b.host) {
		fmt.Fprintf(d.Out, "both boards are called %s: give each a hostname of its own in its network.toml\n", a.host)
	}
}
