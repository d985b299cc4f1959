package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"aead.dev/minisign"
	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/text"
)

// Description is what an image or card says of itself. What it does not say is empty.
type Description struct {
	Role         string    `json:"role"`
	Board        string    `json:"board"`
	Version      string    `json:"version"`
	Release      uint64    `json:"release"`
	Linux        string    `json:"linux,omitempty"`        // version of the kernel
	Kernel       string    `json:"kernel,omitempty"`       // version of the module that it comes from
	KernelDate   time.Time `json:"kernel_date,omitzero"`   // when that was made
	Firmware     string    `json:"firmware,omitempty"`     // of the boards' firmware, which updates leave as it was
	FirmwareDate time.Time `json:"firmware_date,omitzero"` // the same of it
	UpdateKey    string    `json:"update_key,omitempty"`   // identifier of the key that updates must be signed with
	Configured   bool      `json:"configured"`
	Pair         string    `json:"pair,omitempty"`
	Files        int       `json:"files"` // of the configuration
}

// DescribeFile is Describe for a file or drive that may be packed.
func DescribeFile(name string) (Description, error) {
	if strings.HasSuffix(name, ".zst") {
		f, err := os.CreateTemp("", "heliograph-*.img")
		if err != nil {
			return Description{}, fmt.Errorf("image: %v", err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		if err := unpack(name, f, func(string, ...any) {}); err != nil {
			return Description{}, fmt.Errorf("image: %s: %w", name, err)
		}
		return Describe(f)
	}
	f, err := regular.OpenDrive(name)
	if err != nil {
		return Description{}, fmt.Errorf("image: %w", err)
	}
	defer f.Close()
	return Describe(f)
}

// Describe reads what an image or card boots, compares all of it with its manifest, and
// says what it is.
func Describe(r io.ReaderAt) (Description, error) {
	m, set, err := Committed(r)
	if err != nil {
		return Description{}, err
	}
	d := Description{Role: m.Role, Board: m.Board, Version: m.Name, Release: m.Version}
	v, err := openBoot(r)
	if err != nil {
		return d, err
	}
	if b, err := v.ReadFile(string(rune(set))+"/"+billFile, mostBytes); err == nil {
		d.readBill(bytes.TrimRight(b, "\x00"))
	}
	if b, err := v.ReadFile(firmwareFile, mostBytes); err == nil {
		_, d.Firmware, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
		d.FirmwareDate = ModuleDate(d.Firmware)
	}
	c, err := ReadContent(r)
	if err != nil {
		return d, err
	}
	d.Files = len(c)
	configuration, ok := c[configurationFile]
	d.Configured = ok
	var keys struct {
		Pair string `toml:"pair"`
	}
	if toml.Unmarshal(text.TrimMark(configuration), &keys) == nil {
		d.Pair = keys.Pair
	}
	if key, ok := updateKey(m, c); ok {
		d.UpdateKey = KeyID(key)
	}
	return d, nil
}

// KeyID is how a key of updates is named.
func KeyID(key minisign.PublicKey) string { return fmt.Sprintf("%016X", key.ID()) }

// UpdateKey returns the key that updates of an image or card over the network must be
// signed with. Without one, ok is false: its board takes none. It compares nothing.
func UpdateKey(r io.ReaderAt) (key minisign.PublicKey, ok bool, err error) {
	m, err := Manifest(r)
	if err != nil {
		return key, false, err
	}
	c, err := ReadContent(r)
	if err != nil {
		return key, false, err
	}
	key, ok = updateKey(m, c)
	return key, ok, nil
}

func updateKey(m release.Manifest, c Content) (minisign.PublicKey, bool) {
	held := c[keyFile]
	if m.UpdateKey != "" {
		held = []byte(m.UpdateKey)
	}
	key, err := release.ParseKey(held)
	return key, err == nil
}

// readBill takes the kernel's version from the bill of materials.
func (d *Description) readBill(text []byte) {
	var b bill
	if json.Unmarshal(text, &b) != nil {
		return
	}
	for _, c := range b.Components {
		if c.Name != kernelModule {
			continue
		}
		d.Kernel, d.KernelDate = c.Version, ModuleDate(c.Version)
		for _, p := range c.Properties {
			if p.Name == linuxProperty {
				d.Linux = p.Value
			}
		}
	}
}

// Text says it in lines, one of them with the kernel's age at this time.
func (d Description) Text(now time.Time) string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s "+format+"\n", append([]any{what}, args...)...)
	}
	line("image", "%s for %s, version %s, release %d, whole", d.Role, d.Board, d.Version, d.Release)
	line("kernel", "Linux %s, %s", d.Linux, dated(d.Kernel, d.KernelDate, now))
	if d.Firmware != "" {
		line("firmware", "%s", dated(d.Firmware, d.FirmwareDate, now))
	}
	switch {
	case d.Configured:
		line("configuration", "pair %s, %d files", d.Pair, d.Files)
	default:
		line("configuration", "none: the board will ask for one")
	}
	if d.UpdateKey == "" {
		line("updates", "none: there is no key that they must be signed with")
	} else {
		line("updates", "signed with key %s", d.UpdateKey)
	}
	return b.String()
}

func dated(version string, date, now time.Time) string {
	if date.IsZero() {
		return version
	}
	return fmt.Sprintf("of %s, %d days old (%s)", date.Format(time.DateOnly), int(now.Sub(date).Hours()/24), version)
}
