package flash

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/tools/image"
)

func TestLostCardIsReplacedFromTheKeptKey(t *testing.T) {
	for _, role := range []string{"tx", "rx"} {
		t.Run(role, func(t *testing.T) {
			p := pairOf(t, txSide, rxSide)
			p.KeepKey = filepath.Join(folder(t), "hall.key")
			var out strings.Builder
			if err := writer(t, &out).Pair(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), p.KeepKey+" is the secret of this pair") {
				t.Errorf("got %q, want that the kept key is a secret", out.String())
			}
			if info, err := os.Stat(p.KeepKey); err != nil ||
				runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
				t.Fatalf("got %v, %v; want a file for its owner alone", info, err)
			}
			side := map[string]Side{"tx": p.TX, "rx": p.RX}[role]
			lost := contentOf(t, side.Target)
			r := Replacement{Role: role, Key: p.KeepKey, Side: side, Pair: p}
			r.Target = filepath.Join(folder(t), "new.card")
			out.Reset()
			if err := writer(t, &out).Replace(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			made := contentOf(t, r.Target)
			if string(made["pair.key"]) != string(lost["pair.key"]) {
				t.Error("got another pair key than the lost card's")
			}
			own := pki.Thumbprint(identityOf(t, made).Raw)
			if own == pki.Thumbprint(identityOf(t, lost).Raw) || !strings.Contains(out.String(), own) {
				t.Errorf("got certificate %s, want a new one, on the label:\n%s", own, out.String())
			}
			next := map[string]string{"tx": "console with key e", "rx": "The transmitter needs nothing"}[role]
			if !strings.Contains(out.String(), next) ||
				!strings.Contains(out.String(), "HELIOGRAPH "+strings.ToUpper(role)) {
				t.Errorf("got %q, want its label and %q", out.String(), next)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(side.Config), "pair.key")); err == nil {
				t.Error("got the key beside the configuration still")
			}
		})
	}
}

func TestReplacementTakesTheConfigurationOfItsPair(t *testing.T) {
	board := func(text string) string { return strings.Replace(text, "device = \"/dev/ttyAMA0\"\n", "", 1) }
	p := pairOf(t, board(txSide), board(rxSide)) // the board supplies the device
	p.KeepKey = filepath.Join(folder(t), "hall.key")
	var out strings.Builder
	if err := writer(t, &out).Pair(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for role, side := range map[string]Side{"tx": p.TX, "rx": p.RX} {
		r := Replacement{Role: role, Key: p.KeepKey, Side: side, Pair: p}
		r.Target = filepath.Join(folder(t), "new.card")
		if err := writer(t, &out).Replace(t.Context(), r); err != nil {
			t.Errorf("%s: got %v", role, err)
		}
	}
}

func TestReplacementsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Replacement)
		want   string
	}{
		"no key":      {func(r *Replacement) { r.Key = "/none.key" }, "/none.key"},
		"not a key":   {func(r *Replacement) { r.Key = r.Config }, "tx.toml: "},
		"TX for RX":   {func(r *Replacement) { r.Role = "rx" }, "tx.toml: this is heliotx's file; name heliorx's"},
		"no target":   {func(r *Replacement) { r.Target = filepath.Dir(r.Target) }, "neither a drive nor a plain file"},
		"another key": {func(r *Replacement) { other(r) }, "remove it for the given one"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pairOf(t, txSide, rxSide)
			p.Build = func(image.Options) error { t.Error("got an image built, want none"); return nil }
			r := Replacement{Role: "tx", Key: filepath.Join(folder(t), "k"), Side: p.TX, Pair: p}
			if err := pairkey.Create(r.Key, [pairkey.Size]byte{5}); err != nil {
				t.Fatal(err)
			}
			c.change(&r)
			var out strings.Builder
			if err := writer(t, &out).Replace(t.Context(), r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func other(r *Replacement) {
	_ = pairkey.Create(filepath.Join(filepath.Dir(r.Config), "pair.key"), [pairkey.Size]byte{6})
}

func TestKeptKeyOfNoPairIsRemoved(t *testing.T) {
	p := pairOf(t, txSide, rxSide)
	p.KeepKey = filepath.Join(folder(t), "hall.key")
	p.Build = func(image.Options) error { return os.ErrDeadlineExceeded }
	var out strings.Builder
	if err := writer(t, &out).Pair(t.Context(), p); err == nil {
		t.Fatal("got no error")
	}
	if _, err := os.Stat(p.KeepKey); err == nil {
		t.Error("got the key of a pair that was not made")
	}
	if err := os.WriteFile(p.KeepKey, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writer(t, &out).Pair(t.Context(), p); err == nil ||
		!strings.Contains(err.Error(), "keeping the key: "+p.KeepKey+" exists: name another, or remove it") {
		t.Errorf("got %v, want that the file is there already", err)
	}
	if got := read(t, p.KeepKey); got != "precious" {
		t.Errorf("got the file changed to %q", got)
	}
}
