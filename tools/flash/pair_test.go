package flash

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity"
	"heliograph/tools/image"
)

const (
	txSide = "pair = \"hall\"\n[link]\nmedium = \"uart\"\ndevice = \"/dev/ttyAMA0\"\nkey_file = " +
		"\"pair.key\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"
	rxSide = "pair = \"hall\"\n[link]\nmedium = \"uart\"\ndevice = \"/dev/ttyAMA0\"\nkey_file = " +
		"\"pair.key\"\n[[syslog]]\nchannel = \"s\"\nforward = \"tcp://siem:601\"\n"
	txNet = "hostname = \"hall-tx\"\ninterface = \"eth0\"\naddress = \"10.0.0.2/24\"\n"
)

// pairOf writes what a pair is made from. Its images are tiny ones.
func pairOf(t *testing.T, tx, rx string) Pair {
	t.Helper()
	dir := folder(t)
	at := func(name, text string) string {
		name = filepath.Join(dir, name)
		if text != "" {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return name
	}
	b, _ := boards.ByName("rpi4b")
	return Pair{
		TX:    Side{Config: at("tx.toml", tx), Network: at("network.toml", txNet), Target: at("tx.card", "")},
		RX:    Side{Config: at("rx.toml", rx), Target: at("rx.card", "")},
		Board: b,
		Build: func(o image.Options) error {
			files := map[string]string{"heliograph.toml": read(t, o.Config),
				"pair.key": read(t, filepath.Join(dir, "pair.key"))}
			return os.Rename(tiny(t, files), o.Output)
		},
	}
}

func contentOf(t *testing.T, name string) image.Content {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := image.ReadContent(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// identityOf opens the certificates of a card as its board will.
func identityOf(t *testing.T, c image.Content) *x509.Certificate {
	t.Helper()
	dir := folder(t)
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	s, err := pki.Open(pki.Config{Directory: filepath.Join(dir, "pki")})
	if err != nil || s.Own() == nil {
		t.Fatalf("got no certificate with its key (%v)", err)
	}
	return s.Own().Certificate
}

func TestPairSharesAKeyAndNothingElse(t *testing.T) {
	p := pairOf(t, txSide, rxSide)
	var out strings.Builder
	if err := writer(t, &out).Pair(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	tx, rx := contentOf(t, p.TX.Target), contentOf(t, p.RX.Target)
	if a, b := string(tx["pair.key"]), string(rx["pair.key"]); a != b || a == "" {
		t.Errorf("got keys %q and %q, want one", a, b)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(p.TX.Config), "pair.key")); err == nil {
		t.Error("got the key on the computer still, want it on the cards alone")
	}
	a, b := identityOf(t, tx), identityOf(t, rx)
	if got, want := a.URIs[0].String(), "urn:hall-tx:heliograph:tx:hall"; got != want {
		t.Errorf("got application %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(a.DNSNames, a.IPAddresses, b.DNSNames), "[hall-tx] [10.0.0.2] [heliorx]"; got != want {
		t.Errorf("got hosts %s, want %s", got, want)
	}
	for _, want := range []string{
		"hall-tx ", "HELIOGRAPH RX", "hall, key " + strings.Fields(string(tx["pair.key"]))[2],
		pki.Thumbprint(a.Raw), pki.Thumbprint(b.Raw), "pin 8 (TXD) to pin 10 of heliorx",
		"pin 10 (RXD) from pin 8 of hall-tx",
		"|           pin 8 TXD    ---------> pin 10 RXD ", "|           pin 6 GND    ---------- pin 6 GND ",
		"|           pin 10 RXD   not wired  pin 8 TXD ", "|           pin 10 RXD   <--------- pin 8 TXD ",
		"| console pin 7 TXD, pin 29 RXD, pin 9 ground; 115200 baud", "the board's ACT shows its state; pin 11 state",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got labels without %q:\n%s", want, out.String())
		}
	}
}

func TestApplicationIsTheBoardsOwn(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := application("tx", "a b", []string{host}).URI, identity.Application("tx", "a b").URI; got != want {
		t.Errorf("got %s, want what the board would say under this name, %s", got, want)
	}
}

func TestKeyThatIsThereIsUsedAndStays(t *testing.T) {
	p := pairOf(t, txSide, rxSide)
	at := filepath.Join(filepath.Dir(p.TX.Config), "pair.key")
	if err := pairkey.Create(at, [pairkey.Size]byte{7}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := writer(t, &out).Pair(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got, want := string(contentOf(t, p.RX.Target)["pair.key"]), read(t, at); got != want {
		t.Errorf("got key %q on the card, want %q", got, want)
	}
	said := "uses the key in " + at + " (key " + checkOf([pairkey.Size]byte{7}) + "), which other cards may have"
	if !strings.Contains(out.String(), said) {
		t.Errorf("got %q, want %q", out.String(), said)
	}
	out.Reset()
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	p.RX.Network = p.TX.Network
	if err := writer(t, &out).Pair(t.Context(), p); err != nil || strings.Contains(out.String(), "uses the key") ||
		!strings.Contains(out.String(), "both boards are called hall-tx") {
		t.Errorf("got %v, %q; want nothing said of a new key, and that the names are one", err, out.String())
	}
}

func TestPairsThatAreNoneAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		tx, rx string
		change func(*Pair)
		want   string
	}{
		"other name": {rx: strings.Replace(rxSide, "hall", "mill", 1),
			want: "rx.toml:1: pair is \"mill\", and \"hall\" on line 1 of TX's file"},
		"other baud": {rx: strings.Replace(rxSide, "key_file", "baud = 115200\nkey_file", 1), want: "baud"},
		"other medium": {rx: strings.Replace(rxSide, "medium = \"uart\"\ndevice = \"/dev/ttyAMA0\"",
			"medium = \"udp\"\naddress = \"10.0.0.1:1\"", 1), want: "medium"},
		"other channels": {rx: strings.Replace(rxSide, "\"s\"", "\"other\"", 1),
			want: "tx.toml:7: channel \"s\" (syslog) has no table in RX's file"},
		"console of the board": {tx: strings.Replace(txSide, "ttyAMA0", "ttyAMA3", 1),
			want: "tx.toml:4: device \"/dev/ttyAMA3\" is the console of board rpi4b"},
		"fault in one":  {rx: rxSide + "nonsense = 1\n", want: "rx.toml:9: "},
		"key elsewhere": {tx: strings.Replace(txSide, "pair.key", "../pair.key", 1), want: "below its folder"},
		"two keys": {tx: strings.Replace(txSide, "pair.key", "other.key", 1),
			want: "not the key that the other board has"},
		"one file twice": {change: func(p *Pair) { p.RX.Target = filepath.Dir(p.TX.Target) + "/./tx.card" },
			want: "both cards are"},
		"one file for both": {change: func(p *Pair) { p.RX.Target = "" }, want: "name two plain files"},
	} {
		t.Run(name, func(t *testing.T) {
			tx, rx := txSide, rxSide
			if c.tx != "" {
				tx = c.tx
			}
			if c.rx != "" {
				rx = c.rx
			}
			p := pairOf(t, tx, rx)
			if c.change != nil {
				c.change(&p)
			}
			if name == "two keys" {
				for i, file := range []string{"pair.key", "other.key"} {
					if err := pairkey.Create(filepath.Join(filepath.Dir(p.TX.Config), file),
						[pairkey.Size]byte{byte(i)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			p.Build = func(image.Options) error { t.Error("got an image built, want none"); return nil }
			var out strings.Builder
			if err := writer(t, &out).Pair(t.Context(), p); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			left, _ := filepath.Glob(filepath.Join(filepath.Dir(p.TX.Config), "*.key"))
			if want := map[bool]int{true: 2}[name == "two keys"]; len(left) != want {
				t.Errorf("got keys left at %v, want %d", left, want)
			}
		})
	}
}

func TestSwappedCardIsAnother(t *testing.T) {
	tx := &unit{host: "t", image: holding(t, strings.Repeat("t", sector)),
		target: holding(t, strings.Repeat("t", sector))}
	for name, c := range map[string]struct{ card, want string }{
		"the same": {strings.Repeat("t", sector), "the card of t is still in"},
		"another":  {strings.Repeat("x", sector), ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			d := Writer{Machine: driveless{}, Ask: func(_ context.Context, question string) (string, error) {
				asked = question
				return "",
					nil
			}}
			err := d.swap(t.Context(), tx, &unit{host: "r", target: holding(t, c.card)})
			if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.Contains(got, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if !strings.Contains(asked, "put the one of r in") {
				t.Errorf("got the question %q, want it to name r", asked)
			}
		})
	}
}

func TestChangeOfCardsThatIsNotConfirmedSaysWhatIsWritten(t *testing.T) {
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"Ctrl-C":       {stopped, "stopped: the card of t is written, the one of r is not"},
		"end of input": {t.Context(), "no answer: the card of t is written, the one of r is not"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Writer{Machine: driveless{}, Ask: func(context.Context, string) (string, error) {
				return "", errors.New("flash: stopped: nothing was written")
			}}
			err := d.swap(c.ctx, &unit{host: "t", target: "sdx"}, &unit{host: "r", target: "sdx"})
			if got := fmt.Sprint(err); !strings.Contains(got, c.want) || strings.Contains(got, "nothing") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// oneCard is a machine whose every target is a card.
type oneCard struct{ driveless }

func (oneCard) At(string) (Drive, bool, error) {
	return Drive{Name: "sdx", Path: "/dev/sdx", Size: 8 << 30, Removable: true}, true, nil
}

// TestOneReaderNeedsSomeoneToChangeTheCards: the first card would be overwritten before that shows.
func TestOneReaderNeedsSomeoneToChangeTheCards(t *testing.T) {
	for name, c := range map[string]struct {
		yes, terminal bool
		want          string
	}{
		"a person, asked":     {false, true, ""},
		"a person, not asked": {true, true, ""},
		"a script":            {true, false, "name two targets"},
		"answers from a file": {false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := Writer{Machine: oneCard{}, Yes: c.yes, Terminal: c.terminal}
			oneReader, err := d.checkTargets(Pair{TX: Side{Target: "sdx"}})
			if c.want == "" && (err != nil || !oneReader) || c.want != "" && (err == nil ||
				!strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %t, %v; want %q", oneReader, err, c.want)
			}
		})
	}
}

// updateKey makes a key of updates and returns the file of its public part.
func updateKey(t *testing.T) (file string, id string) {
	t.Helper()
	public, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return holding(t, public.String()), fmt.Sprintf("%016X", public.ID())
}

func TestLabelsSayReleaseAndKeyOfUpdates(t *testing.T) {
	file, id := updateKey(t)
	for name, c := range map[string]struct {
		key, want string
		release   uint64
		warns     bool
	}{
		"with a key": {file, "takes updates from 3 on", 4, false},
		"without":    {"", "3, takes no update", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := pairOf(t, txSide, rxSide)
			p.UpdateKey, p.Release = c.key, c.release
			build, seen := p.Build, []image.Options{}
			p.Build = func(o image.Options) error { seen = append(seen, o); return build(o) }
			var out strings.Builder
			if err := writer(t, &out).Pair(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(out.String(), c.want); n != 2 {
				t.Errorf("got %d labels with %q, want 2:\n%s", n, c.want, out.String())
			}
			if c.key != "" && strings.Count(out.String(), id) != 2 {
				t.Errorf("got labels without the key %s:\n%s", id, out.String())
			}
			if got := strings.Contains(out.String(), NoUpdates); got != c.warns {
				t.Errorf("got a warning %v, want %v", got, c.warns)
			}
			for _, o := range seen {
				if o.UpdateKey != c.key || o.Release != c.release {
					t.Errorf("got images for key %q and release %d, want %q and %d", o.UpdateKey, o.Release, c.key,
						c.release)
				}
			}
		})
	}
	p := pairOf(t, txSide, rxSide)
	p.UpdateKey = p.TX.Config
	var out strings.Builder
	if err := writer(t, &out).Pair(t.Context(), p); err == nil || !strings.Contains(err.Error(), "--update-key") {
		t.Errorf("got %v for a malformed key, want an error that says so", err)
	}
}
