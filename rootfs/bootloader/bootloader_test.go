package bootloader_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"heliograph/rootfs/bootloader"
)

// tree is the device tree of a machine with these properties.
func tree(properties map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, value := range properties {
		root["proc/device-tree/chosen/bootloader/"+name] = &fstest.MapFile{Data: []byte(value)}
	}
	return root
}

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func TestWhatABootLoaderTells(t *testing.T) {
	for name, c := range map[string]struct {
		properties map[string]string
		want       bootloader.Info
		says       string
		advice     bool
	}{
		"Raspberry Pi 4, new": {map[string]string{"build-timestamp": number(1737504000), "tryboot": number(0),
			"version": "f788aab6f2b4b6d1c8f0\x00"},
			bootloader.Info{Built: time.Unix(1737504000, 0).UTC(), Version: "f788aab6"},
			"boot loader of 2025-01-22 (f788aab6)", false},
		"a trial": {map[string]string{"build-timestamp": number(1737504000), "tryboot": number(1)},
			bootloader.Info{Built: time.Unix(1737504000, 0).UTC(), Trial: true}, "boot loader of 2025-01-22", false},
		"the oldest that starts a trial": {map[string]string{"build-timestamp": number(1616057651)},
			bootloader.Info{Built: bootloader.TrialSince()}, "boot loader of 2021-03-18", false},
		"one second older": {map[string]string{"build-timestamp": number(1616057650)},
			bootloader.Info{Built: bootloader.TrialSince().Add(-time.Second)}, "boot loader of 2021-03-18", true},
		"Raspberry Pi 3: on the card": {map[string]string{"tryboot": number(0)}, bootloader.Info{},
			"boot loader without a date", false},
		"an emulator": {nil, bootloader.Info{}, "boot loader without a date", false},
		"damaged": {map[string]string{"build-timestamp": "\x01\x02", "tryboot": number(1) + "\x00",
			"version": "\x1b[2Jabc\x00"}, bootloader.Info{Version: "[2Jabc"}, "boot loader without a date", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := bootloader.Read(tree(c.properties))
			if got != c.want || got.String() != c.says || (got.Advice() != "") != c.advice {
				t.Errorf("got %+v, %q, advice %q; want %+v, %q, advice %v", got, got, got.Advice(), c.want, c.says,
					c.advice)
			}
		})
	}
}

func TestAdviceNamesBothDates(t *testing.T) {
	got := bootloader.Read(tree(map[string]string{"build-timestamp": number(1599135103)})).Advice()
	for _, want := range []string{"2020-09-03", "2021-03-18", "rpi-eeprom-update"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, which does not name %s", got, want)
		}
	}
}
