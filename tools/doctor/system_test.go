package doctor_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/platform/identity/selfsigned"
)

// tlsListener is a server with a certificate that no authority has signed.
func tlsListener(t *testing.T) string {
	t.Helper()
	own, err := selfsigned.InMemory("127.0.0.1:0", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*own}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_ = c.(*tls.Conn).Handshake() // the client refuses it
			c.Close()
		}
	}()
	return l.Addr().String()
}

// root runs a command that takes root, or skips the test.
func root(t *testing.T, proves string, args ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("not proved: %s, because this is not root", proves)
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Skipf("not proved: %s, because %s: %v %s", proves, strings.Join(args, " "), err, out)
	}
}

func TestAFullDiskIsNamed(t *testing.T) {
	s := newSite(t, "tx", "[state]\ndirectory = \"full\"\n"+syslogTX(t))
	full := s.path("full")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	root(t, "a full disk", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full)
	t.Cleanup(func() { _ = exec.Command("umount", full).Run() })
	_ = os.WriteFile(full+"/filler", make([]byte, 2<<20), 0o600) // as much as there is room for
	finds(t, s.examine(), "disk-full", "cannot be written: no space left on device", "free space on the disk of "+full)
	if err := os.Truncate(full+"/filler", 900<<10); err != nil {
		t.Fatal(err)
	}
	finds(t, s.examine(), "disk-full", "nearly full", "[state]")
	root(t, "a disk that is read-only", "mount", "-o", "remount,ro", full)
	finds(t, s.examine(), "state-unwritable", "read-only file system", "remount,rw")
}

func TestTheInterfaceOfALinkIsExamined(t *testing.T) {
	one, other := fmt.Sprintf("hd%da", os.Getpid()%100000), fmt.Sprintf("hd%db", os.Getpid()%100000)
	root(t, "the interface of a link", "ip", "link", "add", one, "type", "veth", "peer", "name", other)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", one).Run() })
	const link = "pair = \"p\"\n[link]\nmedium = \"ethernet\"\ninterface = %q\nkey_file = \"pair.key\"\n"
	examine := func(name string) *site { return newSiteWith(t, "tx", fmt.Sprintf(link, name)+syslogTX(t)) }
	finds(t, examine("none0").examine(), "interface-missing", "none0", "[link]")
	only(t, examine(one).examine())
	root(t, "a link without a carrier", "ip", "link", "set", one, "up")
	finds(t, examine(one).examine(), "no-carrier", "has no carrier", "fibre")
	root(t, "a link with a carrier", "ip", "link", "set", other, "up")
	only(t, examine(one).examine())
	for _, address := range []string{"10.99.0.1/30", "fd00:99::1/64"} {
		root(t, "a link with an address", "ip", "addr", "add", address, "dev", one)
		r := examine(one).examine()
		finds(t, r, "interface-address", strings.Split(address, "/")[0], "ip addr flush dev "+one)
		root(t, "a link without an address", "ip", "addr", "flush", "dev", one)
	}
}

func TestTheSerialPortOfALinkIsExamined(t *testing.T) {
	_, device := drivertest.OpenPTY(t)
	const link = "pair = \"p\"\n[link]\nmedium = \"uart\"\ndevice = %q\nkey_file = \"pair.key\"\n"
	only(t, newSiteWith(t, "tx", fmt.Sprintf(link, device)+syslogTX(t)).examine())
	s := newSiteWith(t, "tx", fmt.Sprintf(link, "/dev/none")+syslogTX(t))
	finds(t, s.examine(), "device-missing", "/dev/none", "[link]")
	s = newSiteWith(t, "tx", fmt.Sprintf(link, s.path("pair.key"))+syslogTX(t))
	finds(t, s.examine(), "device-missing", "is not a serial port", "[link]")
}
