package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestFormattedDevicePassesE2fsck(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 124<<20); err != nil {
		t.Fatal(err)
	}
	if err := format(name); err != nil {
		t.Fatal(err)
	}
	check := "e2fsck"
	if _, err := exec.LookPath(check); err != nil {
		check = "/usr/sbin/e2fsck"
	}
	said, err := exec.Command(check, "-fn", name).CombinedOutput()
	if os.IsNotExist(err) {
		t.Skip("not proved: the data partition's format, because e2fsck is not installed")
	}
	if err != nil {
		t.Errorf("e2fsck: got %v, want none\n%s", err, said)
	}
}

func TestPartitionIsFoundByItsNumber(t *testing.T) {
	disk := t.TempDir()
	for name, number := range map[string]string{"mmcblk0p1": "1\n", "mmcblk0p4": "4\n"} {
		if err := os.Mkdir(filepath.Join(disk, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(disk, name, "partition"), []byte(number), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := partition(disk, "4"); got != "/dev/mmcblk0p4" || err != nil {
		t.Errorf("got %q, %v; want /dev/mmcblk0p4", got, err)
	}
	if got, err := partition(disk, "3"); err == nil {
		t.Errorf("got %q for a partition that is not there, want an error", got)
	}
}

func TestRoleFindsItsConfigurationAndItsState(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not proved: the role owns its files, because giving them away needs root")
	}
	root := t.TempDir()
	from, home, state := filepath.Join(root, "boot"), filepath.Join(root, "role"), filepath.Join(root, "data", "state")
	if err := os.MkdirAll(filepath.Join(from, "tls"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"heliograph.toml", "tls/broker.key"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(from, "pki"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "pki", "own.der"), []byte("made with the card"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is called before every start
		if err := prepare(from, home, state); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(home, "tls/broker.key"))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("got %v, %v; want a key with mode 0400", info, err)
	}
	own := filepath.Join(state, "pki", "own.der")
	if got, err := os.ReadFile(own); string(got) != "made with the card" || err != nil {
		t.Errorf("identity: got %q, %v; want the one that came with the card", got, err)
	}
	if err := os.WriteFile(own, []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepare(from, home, state); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(own); string(got) != "newer" || err != nil {
		t.Errorf("identity: got %q, %v; want the role's own kept", got, err)
	}
	if got, err := os.Readlink(filepath.Join(home, "state")); got != state || err != nil {
		t.Errorf("state: got %q, %v; want %q", got, err, state)
	}
}
