// Package flash writes an image to a card, and makes sure that it is there.
//
// Before: the image is one of ours and as long as its partitions, every file of the set
// that its board boots and the root slot have the hashes of the manifest, the file has the
// checksum that lies beside it, its configuration has no faults, the target is a drive that
// is plausibly a card and that is not in use, and the engineer has typed its name. The disk
// that the computer runs from is never written.
//
// Writing: the first chunk of the drive is made zero, the rest is written, then
// the first chunk: a card that was taken out halfway has no partition table. Where the
// image has a hole the drive is read first, which is faster, and made zero unless it is:
// nothing of an earlier board survives in the slots or the data partition. What lies
// behind the image stays as it was. A plain file keeps the holes.
//
// After: everything is flushed, the caches are emptied, and the whole is read back
// and compared by SHA-256; then the files of the configuration are read from the
// card's own FAT and compared one by one.
//
// Linux, Windows and macOS each have their own way to find, lock, write and eject a drive.
// Those of Windows and macOS were built and read, and tested in their parsing; the rest of
// them was not run by their authors.
//
// The package signs nothing, and does not erase a key from the medium that an
// image with one lay on.
package flash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"heliograph/firmware/config"
	"heliograph/tools/image"
	"heliograph/tools/image/packed"
	"heliograph/tools/progress"
	"heliograph/tools/settings"
)

// Writer writes cards and asks its user before it does.
type Writer struct {
	Machine  Machine // with the drives; see Local
	Out      io.Writer
	Progress io.Writer // where how far it is is shown, if it is a terminal
	Now      func() time.Time
	Ask      func(ctx context.Context, question string) (string, error)
	Terminal bool // Ask reaches a person
	Yes      bool // ask nothing before a drive is overwritten
	Override bool // see Drive.Refusal
}

// CheckConfiguration returns what is wrong with what a board of a role is given.
func CheckConfiguration(role string, files settings.Files) error {
	if _, err := files.Check(role); err != nil {
		return refused("the configuration has faults", err)
	}
	return nil
}

// refused puts what faults are of above them. A file that was not read has none.
func refused(what string, err error) error {
	if _, ok := errors.AsType[config.Faults](err); !ok {
		return fmt.Errorf("flash: %w", err)
	}
	return fmt.Errorf("flash: %s:\n%w", what, err)
}

// Check refuses a target as Card will, before there is an image.
func (d Writer) Check(to string) error {
	t, err := find(d.Machine, to)
	if err == nil && !t.isFile() {
		err = t.drive.Refusal(0, d.Override)
	}
	return err
}

// Card writes an image to a drive or a plain file.
func (d Writer) Card(ctx context.Context, name, to string) error {
	line := progress.Start(d.Progress, "reading "+name)
	out := line.Writer(d.Out)
	s, err := openSource(name, func(format string, a ...any) { fmt.Fprintf(out, format, a...) })
	line.End()
	if err != nil {
		return err
	}
	defer s.close()
	if len(s.content) == 0 {
		fmt.Fprintf(d.Out, "%s has no configuration: its board will ask for one\n", name)
	}
	t, err := d.target(s, to)
	if err != nil {
		return err
	}
	if !t.isFile() && !d.Yes {
		if err := d.confirm(ctx, t); err != nil {
			return err
		}
		again, err := d.target(s, to)
		if err != nil {
			return err
		}
		if !again.same(t) {
			return fmt.Errorf("flash: %s changed while you were asked: nothing was written, start again", to)
		}
	}
	return d.write(ctx, s, t)
}

// target finds where to write, and refuses what should not be written.
func (d Writer) target(s *source, to string) (target, error) {
	t, err := find(d.Machine, to)
	if err != nil {
		return t, err
	}
	if !t.isFile() {
		return t, t.drive.Refusal(s.size, d.Override)
	}
	if its, err := os.Stat(to); err == nil && os.SameFile(s.given, its) {
		return t, fmt.Errorf("flash: %s is the image itself: name another file", to)
	}
	return t, nil
}

// confirm has the engineer type the drive's name.
func (d Writer) confirm(ctx context.Context, t target) error {
	answer, err := d.Ask(ctx, fmt.Sprintf("%s\nEverything on it will be lost. Type its name (%s) to go on: ", t.drive,
		t.drive.Name))
	if err != nil {
		return err
	}
	if answer != t.drive.Name {
		return fmt.Errorf("flash: %q is not %q: nothing was written", answer, t.drive.Name)
	}
	return nil
}

// write writes, reads back and releases. What it leaves after an error is not a card
// that boots, and the error says so.
func (d Writer) write(ctx context.Context, s *source, t target) error {
	c, err := t.open(d.Machine, d.Override)
	if err != nil {
		return err
	}
	defer c.Close()
	if f, ok := c.(plainFile); ok {
		if err := f.Truncate(s.size); err != nil {
			return fmt.Errorf("flash: %w", err)
		}
	}
	whole := false
	defer func() {
		if f, ok := c.(plainFile); ok && !whole { // what is there of an image may hold keys
			_ = f.Truncate(0)
			f.Close()
			_ = os.Remove(t.path)
		}
	}()
	line := progress.Start(d.Progress, "writing")
	err = transfer(ctx, s, c, t.isFile(), &pace{line: line, now: d.Now})
	line.End()
	if err != nil {
		if t.isFile() {
			err = packed.Space(err, t.path)
		}
		return fmt.Errorf("flash: %s is NOT usable: %w; flash it again", t.path, err)
	}
	got, err := image.ReadContent(c)
	if err != nil {
		return fmt.Errorf("flash: %s is NOT usable: reading back: %w; flash it again", t.path, err)
	}
	if name := s.content.Difference(got); name != "" {
		return fmt.Errorf("flash: %s is NOT usable: it gave back another %s; take another card", t.path, name)
	}
	whole = true
	fmt.Fprintf(d.Out, "%s: written, read back and equal, with %d files of configuration; %s\n", t.path, len(got),
		c.Release())
	return nil
}

var errOther = errors.New("it gave back other bytes than were written: it is worn out or a counterfeit, take another")

// transfer puts the image on the medium and reads it back.
func transfer(ctx context.Context, s *source, m medium, sparse bool, p *pace) error {
	p.start("writing", s.size-s.blank, s.blank)
	want, err := put(ctx, m, s, sparse, p.add)
	if err != nil {
		return stopped(ctx, fmt.Errorf("writing: %w", err))
	}
	if err := m.Forget(); err != nil {
		return err
	}
	p.start("reading back", s.size, 0)
	got, err := digest(ctx, m, s.size, p.add)
	if err != nil {
		return stopped(ctx, fmt.Errorf("reading back: %w", err))
	}
	if got != want {
		return errOther
	}
	return nil
}

func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("stopped before it was whole")
	}
	return err
}
