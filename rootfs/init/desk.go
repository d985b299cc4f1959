package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/platform/store"
	"heliograph/rootfs/console"
	"heliograph/rootfs/logring"
	"heliograph/rootfs/network"
	"heliograph/rootfs/selftest"
)

// desk is what the console shows of this board, and does to it.
type desk struct {
	board  boards.Board
	role   *role
	vitals *vitals
	news   *news
	lines  *logring.Ring
	asked  chan<- os.Signal
	log    *slog.Logger

	rejected []console.Certificate
	looked   time.Time // at what was rejected
}

// lookAtStore is how often the certificates are looked at, at most: a live screen
// asks each second.
const lookAtStore = 5 * time.Second

// serve lets keys from the console's port act until ctx ends.
func (d *desk) serve(ctx context.Context, out io.Writer) {
	if d.board.Console.Device == "" {
		return
	}
	port, err := console.Open(d.board.Console.Device, d.board.Console.Baud)
	if err != nil {
		d.log.Error("the console takes no keys: " + err.Error())
		return
	}
	defer context.AfterFunc(ctx, func() { _ = port.Close() })()
	keys := make(chan byte)
	go func() {
		defer close(keys)
		b := make([]byte, 64)
		for {
			n, err := port.Read(b)
			for _, k := range b[:n] {
				keys <- k
			}
			if err != nil {
				return
			}
		}
	}()
	c := console.New(d, out)
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case k, ok := <-keys:
			if !ok {
				return
			}
			c.Key(k)
		case <-minute.C:
			c.Minute()
		}
	}
}

// Status implements console.Board.
func (d *desk) Status() console.Status {
	verdict, report := d.vitals.stand()
	host, _ := os.Hostname()
	s := console.Status{
		Role: d.role.name, Board: d.board.Name, Host: host, Now: time.Now(), Up: d.vitals.now(),
		State: verdict.State, Reason: verdict.Reason, Report: report, Rejected: len(d.Rejected()), Release: d.news.now(),
	}
	if c, err := settings(); err == nil {
		s.Address = addressOf(c)
	}
	return s
}

// addressOf returns the address that an interface has, or that it is to have.
func addressOf(c network.Config) string {
	if !c.DHCP {
		return c.Address.String()
	}
	i, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return "dhcp"
	}
	if list, err := i.Addrs(); err == nil && len(list) > 0 {
		return list[0].String() + " by dhcp"
	}
	return "no answer to dhcp yet"
}

// Log implements console.Board.
func (d *desk) Log(lines int) []string { return d.lines.Tail(lines) }

// store opens the role's certificates, where there are any.
func (d *desk) store() (*pki.Store, error) {
	folder := d.role.certificates()
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	return pki.Open(pki.Config{Directory: folder, Log: slog.New(slog.DiscardHandler)})
}

// Rejected implements console.Board.
func (d *desk) Rejected() []console.Certificate {
	if time.Since(d.looked) >= lookAtStore {
		d.rejected, d.looked = d.look(), time.Now()
	}
	return d.rejected
}

func (d *desk) look() (list []console.Certificate) {
	s, err := d.store()
	if err != nil {
		return nil
	}
	for _, e := range s.List() {
		if e.Kind == pki.KindRejected && e.Certificate != nil {
			list = append(list, console.Certificate{Thumbprint: e.Thumbprint, Subject: e.Certificate.Subject.String(), Why: "until " + e.Certificate.NotAfter.UTC().Format(time.DateOnly)})
		}
	}
	return list
}

// Trust implements console.Board.
func (d *desk) Trust(thumbprint string) error {
	s, err := d.store()
	if err != nil {
		return err
	}
	if _, err := s.Trust(thumbprint, false); err != nil {
		return err
	}
	d.log.Warn("certificate trusted on the console", "thumbprint", thumbprint)
	d.looked = time.Time{}
	return giveTo(d.role.certificates())
}

// Refused implements console.Board.
func (d *desk) Refused() (list []console.Run) {
	runs, err := acceptance.Refused(d.role.memory())
	if err != nil {
		d.log.Error("console: " + err.Error())
	}
	for _, r := range runs {
		list = append(list, console.Run{ID: r.ID(), Epoch: r.Epoch, Heard: r.Heard})
	}
	return list
}

// Accept implements console.Board.
func (d *desk) Accept(id string) error {
	run, err := acceptance.Accept(d.role.memory(), id)
	if err == nil {
		d.log.Warn("run of the transmitter accepted on the console", "run", run.ID())
	}
	return err
}

// accepted is how long a receiver accepts the pair key before a change.
const accepted = 24 * time.Hour

// Keys implements console.Board.
func (d *desk) Keys() (string, error) {
	use, warning, err := pairkey.InUse(d.role.keyFile(), keys, time.Now())
	if err != nil {
		return "", err
	}
	text := "Pair key " + pairkey.ID(use.Key) + " is used"
	if use.Old != nil && d.role.name == "rx" {
		text += ", and " + pairkey.ID(*use.Old) + " until " + use.Until.UTC().Format(time.DateTime+" UTC")
	}
	if warning != nil {
		text += "; " + warning.Error()
	}
	return text + ".", nil
}

// ChangeKey implements console.Board.
func (d *desk) ChangeKey(key [pairkey.Size]byte) error {
	use, err := pairkey.Change(d.role.keyFile(), keys, key, time.Now(), accepted)
	if err != nil {
		return err
	}
	d.log.Warn("pair key changed on the console", "key", pairkey.ID(key))
	return d.role.changeKeys(use)
}

// Network implements console.Board.
func (d *desk) Network() console.Network {
	c, err := settings()
	if err != nil {
		return console.Network{Interface: d.board.Network.Outside}
	}
	n := console.Network{Hostname: c.Hostname, Interface: c.Interface, Address: c.Address.String()}
	if c.DHCP {
		n.Address = "dhcp"
	}
	if c.Gateway.IsValid() {
		n.Gateway = c.Gateway.String()
	}
	n.Nameservers = strings.TrimSuffix(strings.ReplaceAll(strings.ReplaceAll(c.Resolver(), "nameserver ", ""), "\n", " "), " ")
	return n
}

// SetNetwork implements console.Board.
func (d *desk) SetNetwork(n console.Network) error {
	c := network.Config{Hostname: n.Hostname, Interface: n.Interface, DHCP: n.Address == "dhcp"}
	c.Address, _ = netip.ParsePrefix(n.Address) // what is wrong Parse says
	if n.Gateway != "" {
		var err error
		if c.Gateway, err = netip.ParseAddr(n.Gateway); err != nil {
			return fmt.Errorf("network: gateway %q is not an address", n.Gateway)
		}
	}
	for _, s := range strings.FieldsFunc(n.Nameservers, func(r rune) bool { return r == ' ' || r == ',' }) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("network: nameserver %q is not an address", s)
		}
		c.Nameservers = append(c.Nameservers, a)
	}
	text := c.Text()
	if _, err := network.Parse(strings.NewReader(text)); err != nil {
		return err
	}
	d.log.Warn("network set on the console", "address", c.Address.String())
	return store.Write(ownNetwork, []byte(text))
}

// Selftest implements console.Board.
func (d *desk) Selftest(w io.Writer) {
	pid, link := d.role.process()
	selftest.Print(w, selftest.Run(selftest.Machine{Root: os.DirFS("/"), Board: d.board, Role: d.role.name, PID: pid, Link: link}))
}

// RestartRole implements console.Board.
func (d *desk) RestartRole() { d.signal(syscall.SIGTERM) }

// FreezeRole implements console.Board.
func (d *desk) FreezeRole() { d.signal(syscall.SIGSTOP) }

func (d *desk) signal(s syscall.Signal) {
	pid, _ := d.role.process()
	d.log.Warn("signal to the role from the console", "signal", s.String(), "pid", pid)
	if pid > 0 {
		_ = syscall.Kill(pid, s) // it may have ended just now
	}
}

// Restart implements console.Board.
func (d *desk) Restart() { d.asked <- syscall.SIGINT }

// PowerOff implements console.Board.
func (d *desk) PowerOff() { d.asked <- syscall.SIGTERM }
