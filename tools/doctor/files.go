package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/firmware/platform/disk"
	"heliograph/tools/settings"
)

// Our own bounds.
const (
	mostFiles     = 5000           // of a state folder that are looked at
	recent        = 24 * time.Hour // a certificate that was rejected since then is of interest
	mostRejected  = 5
	nearExpiry    = 30 * 24 * time.Hour
	secretsAdvice = ": run \""
)

// files reports what the check of the configuration warns of and a command cures.
func (x *examination) files(context.Context) {
	secrets := true
	for _, w := range x.Warnings {
		cause, command, cures := strings.Cut(w.Message, secretsAdvice)
		where := fmt.Sprintf("%s:%d", w.File, w.Line)
		switch {
		case strings.Contains(w.Message, config.CertificateEnded):
			cause, _, _ = strings.Cut(w.Message, "; ")
			x.add("certificate-expiry", where, cause, config.CertificateRenewal+", and restart helio"+x.Role)
			continue
		case !cures:
			x.result.Warnings = append(x.result.Warnings, where+": "+w.Message)
			continue
		}
		secrets = false
		command, _, _ = strings.Cut(command, "\"")
		x.add("file-permissions", where, cause, command)
	}
	if secrets {
		x.fine("files of secrets: no other user can read them")
	}
}

// other compares both files of the pair, and the IDs of the keys in force.
func (x *examination) other(context.Context) {
	if x.Other == "" {
		x.unchecked("names, baud and pair key of the other side: --other FILE compares them")
		return
	}
	tx, rx := settings.Files{Config: x.File}, settings.Files{Config: x.Other}
	if x.Role == "rx" {
		tx, rx = rx, tx
	}
	both, err := settings.Pair(tx, rx)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			if strings.HasPrefix(line, x.Other) && strings.Contains(line, config.NotFound) {
				x.unchecked("the other side's file is not compared: " + line)
			} else {
				x.found(x.difference(line))
			}
		}
		return
	}
	a, _, failed := pairkey.InUse(both.TX.Link.KeyFile, both.TX.State, x.now())
	b, _, err := pairkey.InUse(both.RX.Link.KeyFile, both.RX.State, x.now())
	if failed != nil || err != nil || a.Key == b.Key || b.Old != nil && *b.Old == a.Key {
		x.fine("both files of the pair agree")
		return
	}
	x.add("key-mismatch", "link", fmt.Sprintf("heliotx uses pair key %s, and heliorx accepts %s alone",
		pairkey.ID(a.Key), pairkey.ID(b.Key)), "heliograph key change --config FILE KEY, with the same key on both "+
		"sides, the receiver first")
}

// difference makes a finding of a fault of a pair.
func (x *examination) difference(fault string) diagnosis.Finding {
	f := diagnosis.Finding{Code: "pair-differs", Where: "pair", Cause: fault,
		Cure: "correct that line, and restart the role whose file it is"}
	switch {
	case strings.Contains(fault, "key_file"):
		f.Code, f.Where = "key-mismatch", "link"
		f.Cure = "copy one pair.key to both sides; `heliograph key show --config " + x.File + "` and with the other " +
			"side's file must print one ID"
	case strings.Contains(fault, "channel \""):
		_, name, _ := strings.Cut(fault, "channel \"")
		name, _, _ = strings.Cut(name, "\"")
		f.Code, f.Where = "channel-name", "channel "+name
		f.Cure = "write one name, of one protocol, in both files, and restart both roles"
	case strings.Contains(fault, "baud is"):
		f.Code, f.Where = "baud", "link"
		f.Cure = "write one baud in [link] of both files, and restart both roles"
	}
	return f
}

// examineState looks at the folder of the state.
func (x *examination) examineState(context.Context) {
	_, err := os.Stat(x.state)
	folder := x.state
	if errors.Is(err, fs.ErrNotExist) {
		for ; errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder); _, err = os.Stat(folder) {
			folder = filepath.Dir(folder)
		}
		x.unchecked("state: " + x.state + " is made at the first start")
	}
	unwritable := func(cause, cure string) { x.add("state-unwritable", "state", cause, cure) }
	if err != nil {
		unwritable(err.Error(), fmt.Sprintf("correct directory in [state] of %s", x.File))
		return
	}
	space := "free space on the disk of " + folder + ", or set directory in [state] of " + x.File + " to a larger one"
	if err := writable(folder, folder == x.state); errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		x.found(diagnosis.Finding{Level: diagnosis.Fault, Code: "disk-full", Where: "state", Cause: fmt.Sprintf(
			"%s cannot be written: %v", folder, err), Cure: space})
	} else if err != nil && folder != x.state {
		unwritable(fmt.Sprintf("%s cannot be made: %s cannot be written: %v", x.state, folder, err), "install -d -o "+
			"USER "+x.state+", for the user that runs helio"+x.Role+"; or set directory in [state] of "+x.File+
			" to another folder")
	} else if err != nil {
		unwritable(fmt.Sprintf("%s cannot be written: %v", folder, err), "chown -R USER "+folder+", the user that "+
			"runs helio"+x.Role+"; if its disk is read-only: mount -o remount,rw, or replace the disk")
	} else if file := foreign(folder, x.state); file != "" {
		x.add("file-permissions", "state", file+" is of another user than the folder: helio"+x.Role+" was started "+
			"once as another user", "chown -R --reference="+x.state+" "+x.state)
	} else {
		x.fine("state: " + folder + " can be written")
	}
	if fault := disk.Of(folder).Fault(); fault != "" {
		x.add("disk-full", "state", fault, space)
	}
}

// foreign returns a file in the state that another user owns than the folder, "" if there
// is none.
func foreign(folder, state string) (found string) {
	if folder != state { // it does not exist yet
		return ""
	}
	owner, known := ownerOf(state)
	seen := 0
	_ = filepath.WalkDir(state, func(path string, _ fs.DirEntry, err error) error {
		if seen++; seen > mostFiles || !known {
			return fs.SkipAll
		}
		if uid, ok := ownerOf(path); err == nil && ok && uid != owner {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// certificates reads the folder of certificates, without writing to it.
func (x *examination) certificates(context.Context) {
	if len(x.TX.OPCUA)+len(x.RX.OPCUA) == 0 {
		return
	}
	_, err := os.ReadDir(filepath.Join(x.pki, "own", "private"))
	if errors.Is(err, fs.ErrPermission) {
		x.add("file-permissions", "pki", "this user may not read "+x.pki, "run doctor as the user of "+
			"helio"+x.Role+", or with sudo")
		return
	}
	x.store, err = pki.Open(pki.Config{Directory: x.pki, ReadOnly: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		x.add("pki", "pki", err.Error(), "correct [pki] of "+x.File)
		return
	}
	own := x.store.Own()
	if own == nil {
		x.add("no-certificate", "pki", "helio"+x.Role+" has no certificate yet", "start helio"+x.Role+" once, or "+
			"heliograph cert new --config "+x.File)
		return
	}
	switch from, to := own.Certificate.NotBefore, own.Certificate.NotAfter; {
	case to.Sub(x.now()) < nearExpiry:
		x.found(x.site.Expiry("opcua own", x.Role, to, x.now()))
	case from.After(x.now()):
		x.add("clock", "clock", "the clock is before the day on which the own certificate was made, "+
			from.UTC().Format(time.DateOnly), "set the clock: timedatectl set-ntp true")
	default:
		x.fine("own certificate: until " + to.UTC().Format(time.DateOnly))
	}
}

// rejected names the certificates that were rejected lately and that no finding is about.
func (x *examination) rejected(context.Context) {
	if x.store == nil {
		return
	}
	known := strings.Join(x.result.Findings.Lines(), "\n")
	list := x.store.List(pki.KindRejected)
	changed := func(e pki.Entry) time.Time {
		info, err := os.Stat(e.Path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(list, func(a, b pki.Entry) int { return changed(b).Compare(changed(a)) })
	for _, e := range list[:min(len(list), mostRejected)] {
		if x.now().Sub(changed(e)) > recent {
			return
		}
		if strings.Contains(known, e.Thumbprint) {
			continue
		}
		what, cure := "the client", "if it is meant to read this mirror: "
		if x.Role == "tx" {
			what, cure = "the server", "compare the thumbprint with the server's own, then "
		}
		x.add("rejected", "certificate "+e.Thumbprint, fmt.Sprintf("%s with the certificate of %.100q is not trusted "+
			"here", what, e.Certificate.Subject.String()), cure+"heliograph trust add --config "+x.File+" "+
			e.Thumbprint+"; if not, remove "+e.Path)
	}
}
