package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/disk"
)

// pauses are those before each further try to mount. Our own choice: a card that has
// lost its contact is found again within seconds.
var pauses = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// Machine is what the kernel does with the data partition.
type Machine interface {
	Mount() error // wraps the error of the system call
	IsNew() (bool, error)
	Format() error
}

// Partition is the data partition of a card.
type Partition struct {
	Log     *slog.Logger
	Card    Disk
	Machine Machine
}

// Result is what became of the partition.
type Result struct {
	Mounted bool
	Restart bool       // the board has to be restarted, and the partition tried again
	Start   disk.Start // for the role; its time is not set
}

// Prepare mounts the partition, and formats it if it is new, or if it is damaged and a
// restart did not help. It takes 15 seconds when the partition does not mount.
func (p *Partition) Prepare() Result {
	var err error
	for try := 0; ; try++ {
		if err = p.Machine.Mount(); err == nil {
			p.settle()
			return Result{Mounted: true}
		}
		if damaged(err) {
			if fresh, unread := p.Machine.IsNew(); unread == nil && fresh {
				return p.format(p.lost(err))
			}
		}
		if try == len(pauses) {
			break
		}
		p.Log.Warn("data partition not mounted", "error", err, "retry", pauses[try].String())
		time.Sleep(pauses[try])
	}
	if readAttempts(p.Card) == 0 {
		unkept := writeAttempts(p.Card, 1)
		if unkept == nil {
			p.Log.Error("data partition not mounted: it is tried once more after a restart", "error", err)
			return Result{Restart: true}
		}
		return inMemory(fmt.Errorf("%w; and the card takes no writes: %v", err, unkept))
	}
	if !damaged(err) {
		return inMemory(fmt.Errorf("%w: the card does not answer; reseat or replace it, nothing on it was changed",
			err))
	}
	if unkept := writeAttempts(p.Card, formattingDamaged); unkept != nil {
		p.Log.Error("attempts of the data partition not kept", "error", unkept)
	}
	return p.format(err.Error())
}

// lost returns why what was on a new partition is lost, "" if nothing was: the formatting of a
// damaged one was cut off.
func (p *Partition) lost(err error) string {
	if readAttempts(p.Card) < formattingDamaged {
		return ""
	}
	return err.Error()
}

// damaged reports whether the card answers, and what it answers is not a filesystem
// (EINVAL, EUCLEAN) or not what was written (EBADMSG).
func damaged(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EBADMSG)
}

// format formats and mounts the partition; why is what is wrong with what is on it, ""
// if it is new.
func (p *Partition) format(why string) Result {
	if err := p.Machine.Format(); err != nil {
		return inMemory(fmt.Errorf("formatting the data partition: %v", err))
	}
	if err := p.Machine.Mount(); err != nil {
		return inMemory(err)
	}
	p.settle()
	if why == "" {
		p.Log.Info("data partition made: the card is new")
	} else {
		p.Log.Error("DATA PARTITION FORMATTED: identity, accounts, keys and spools on it are lost", "error", why)
	}
	return Result{Mounted: true, Start: disk.Start{Formatted: why}}
}

func inMemory(why error) Result { return Result{Start: disk.Start{Memory: why.Error()}} }

// settle forgets restarts once the partition is in use.
func (p *Partition) settle() {
	if readAttempts(p.Card) == 0 {
		return
	}
	if err := writeAttempts(p.Card, 0); err != nil {
		p.Log.Error("attempts of the data partition not reset", "error", err)
	}
}
