package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/tools/pair"
	"heliograph/tools/plant"
)

// plan is a run: what is unusual about the pair, and what happens to it when.
type plan struct {
	name, about string
	profile     linktest.Profile
	rate        float64                  // of every source, a second; 0: usualRate
	noTime      bool                     // no time server answers
	prepare     func(*run) error         // before the roles start
	steps       map[int]func(*run) error // by scrape, before it
}

const usualRate = 2

// plans are the runs that the rules are tested against. A scrape is 15 s, so the
// eighth one is after two minutes.
func plans() []plan {
	const trouble = 8
	return []plan{
		{name: "healthy", about: "A link that loses 0.5 % of its frames, which parity repairs.",
			profile: linktest.Profile{Loss: 0.005}},
		{name: "link-cut", about: "The link is cut after 2 minutes and joined after 7: the hole heals.",
			steps: map[int]func(*run) error{trouble: (*run).cut, 28: (*run).join}},
		{name: "source-down", about: "The broker in the plant ends after 2 minutes.",
			steps: map[int]func(*run) error{trouble: func(r *run) error { return end(&r.plant) }}},
		{name: "sink-down", about: "IT's broker ends after 2 minutes; its spool is small, and fills.", rate: 40,
			steps: map[int]func(*run) error{trouble: func(r *run) error { return end(&r.it) }}},
		{name: "receiver-ended", about: "The receiver ends after 2 minutes.",
			steps: map[int]func(*run) error{trouble: func(r *run) error { r.pair.RX.Stop(timeout); return nil }}},
		{name: "transmitter-ended", about: "The transmitter ends after 2 minutes.",
			steps: map[int]func(*run) error{trouble: func(r *run) error { r.pair.TX.Stop(timeout); return nil }}},
		{name: "restarts", about: "The receiver is killed and started again three times, a minute apart.",
			steps: map[int]func(*run) error{8: (*run).restart, 12: (*run).restart, 16: (*run).restart}},
		{name: "certificate", about: "The certificate of the receiver's listener ends in 2 days.",
			prepare: func(r *run) error { return r.certificate(48 * time.Hour) }},
		{name: "wrong-key", about: "The receiver has another pair key.", prepare: (*run).otherKey},
		{name: "bad-link", about: "The link loses bursts that parity does not repair, and damages frames.",
			profile: linktest.Profile{Loss: 0.25, Burst: 12, Corrupt: 0.02}},
		{name: "slow-receiver", about: "The receiver gets no processor for 12 s of every 15.", rate: 400,
			steps: everyScrape((*run).stall)},
		{name: "no-replay", about: "The link is cut after 2 minutes and joined after 4; nothing is sent again.",
			prepare: func(r *run) error { return edit(r.pair.TX.Config, "[time]", "[replay]\nmemory = \"0\"\n[time]") },
			steps:   map[int]func(*run) error{trouble: (*run).cut, 16: (*run).join}},
		{name: "slow-heal", about: "The link is cut after 2 minutes and joined after 4; it is too slow to heal soon.",
			rate: 10, prepare: func(r *run) error { return r.linkRate("64kbit/s") },
			steps: map[int]func(*run) error{trouble: (*run).cut, 16: (*run).join}},
		{name: "slow-link", about: "The link is configured for less than the plant sends.", rate: 2000,
			prepare: func(r *run) error { return r.linkRate("64kbit/s") }},
		{name: "no-time", about: "The transmitter's time server does not answer.", noTime: true},
		{name: "disk-full", about: "The disk of the receiver's state is nearly full.", prepare: (*run).smallDisk},
	}
}

func everyScrape(f func(*run) error) map[int]func(*run) error {
	steps := map[int]func(*run) error{}
	for i := range maxScrapes {
		steps[i] = f
	}
	return steps
}

func (r *run) cut() error  { r.link.SetCut(true); return nil }
func (r *run) join() error { r.link.SetCut(false); return nil }

// end ends a broker, once.
func end(b **plant.Broker) (err error) {
	if *b != nil {
		err = (*b).Close()
	}
	*b = nil
	return err
}

func (r *run) restart() error {
	r.pair.RX.Kill()
	return r.pair.RX.Start()
}

// stall stops the receiver for most of an interval.
func (r *run) stall() error {
	if err := r.pair.RX.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	time.AfterFunc(12*time.Second, func() { _ = r.pair.RX.Signal(syscall.SIGCONT) }) // one that ended is no matter
	return nil
}

// certificate makes that of the built-in broker, to end after a time.
func (r *run) certificate(left time.Duration) error {
	_, _, err := selfsigned.Ensure(filepath.Join(r.dir, "state-rx", "pki"), "mqtt-cell-2", "127.0.0.1:8883",
		time.Now().Add(left-selfsigned.Life))
	return err
}

// otherKey lets the transmitter read its key, and gives the receiver another.
func (r *run) otherKey() error {
	if err := os.WriteFile(filepath.Join(r.dir, "other.key"), pairkey.Format(pairkey.New()), 0o600); err != nil {
		return err
	}
	return edit(r.pair.RX.Config, `key_file = "pair.key"`, `key_file = "other.key"`)
}

// linkRate has both roles use a link of another rate.
func (r *run) linkRate(rate string) error {
	for _, role := range []*pair.Role{&r.pair.TX, &r.pair.RX} {
		if err := edit(role.Config, `rate = "100Mbit/s"`, fmt.Sprintf("rate = %q", rate)); err != nil {
			return err
		}
	}
	return nil
}

// smallDisk puts the receiver's state on a disk of its own, which takes root.
func (r *run) smallDisk() error {
	state := filepath.Join(r.dir, "state-rx")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=64m"); err != nil {
		return err
	}
	r.undo = append(r.undo, func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	return os.WriteFile(filepath.Join(state, "ballast"), make([]byte, 52<<20), 0o600)
}
