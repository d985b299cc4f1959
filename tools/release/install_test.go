package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/firmware/config/pairkey"
)

// host is a machine with systemd as its PID 1, in namespaces and a root of its own.
type host struct {
	t   *testing.T
	pid string // of its PID 1, seen from here
}

// bootHost boots one; the end of the test ends it.
func bootHost(t *testing.T) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not proved: a package starts its service, because only root can boot a systemd")
	}
	for _, name := range []string{"/lib/systemd/systemd", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/bin/dpkg"} {
		if _, err := os.Stat(name); err != nil {
			t.Skipf("not proved: a package starts its service, because %s is missing", name)
		}
	}
	var said bytes.Buffer
	c := exec.Command("unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--fork", "--kill-child",
		"sh", "testdata/boot.sh", t.TempDir())
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	h := &host{t: t}
	await.NoError(t, "PID 1", func() error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", c.Process.Pid, c.Process.Pid))
		if h.pid = strings.TrimSpace(string(b)); err == nil && h.pid == "" {
			err = fmt.Errorf("it has no child: %s", &said)
		}
		return err
	})
	await.NoError(t, "systemd", func() error {
		if got, err := h.run("systemctl", "is-system-running"); strings.TrimSpace(got) != "running" &&
			strings.TrimSpace(got) != "degraded" {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
	return h
}

// run runs a command there and returns what it prints.
func (h *host) run(args ...string) (string, error) {
	return h.feed(nil, args...)
}

func (h *host) feed(in []byte, args ...string) (string, error) {
	c := exec.Command("nsenter", append([]string{"--target", h.pid, "--all", "--root", "env", "-i", "-C", "/",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}, args...)...)
	c.Stdin = bytes.NewReader(in)
	said, err := c.CombinedOutput()
	return string(said), err
}

// does runs a command that must not fail.
func (h *host) does(args ...string) string {
	h.t.Helper()
	said, err := h.run(args...)
	if err != nil {
		h.t.Fatalf("%v: %v\n%s", args, err, said)
	}
	return said
}

// put writes a file there.
func (h *host) put(name string, mode string, content []byte) {
	h.t.Helper()
	if said, err := h.feed(content, "sh", "-c", "umask 077; cat >"+name+" && chmod "+mode+" "+name); err != nil {
		h.t.Fatalf("writing %s: %v\n%s", name, err, said)
	}
}

// property returns what systemd says of a service.
func (h *host) property(unit, name string) string {
	h.t.Helper()
	return strings.TrimSpace(h.does("systemctl", "show", "--value", "--property", name, unit))
}

// collect listens in the host's network, and returns the lines that have come.
func (h *host) collect(address string) func() string {
	h.t.Helper()
	var mu sync.Mutex
	var text strings.Builder
	listener := make(chan net.Listener)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		namespace, err := os.Open("/proc/" + h.pid + "/ns/net")
		if err == nil {
			defer namespace.Close()
			err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		}
		var l net.Listener
		if err == nil {
			l, err = net.Listen("tcp", address)
		}
		if err != nil {
			failed <- err
			return
		}
		listener <- l
	}()
	var l net.Listener
	select {
	case l = <-listener:
	case err := <-failed:
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for b := make([]byte, 4096); ; {
					n, err := c.Read(b)
					mu.Lock()
					text.Write(b[:n])
					mu.Unlock()
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
}

// TestPackagesRunAsHardenedServices installs both packages with dpkg on a machine with
// systemd, and sees: nothing starts before there is a configuration; then both services are
// ready, without privileges, and a line crosses; a role that hangs is restarted; a purge
// leaves nothing but the key, which it names.
func TestPackagesRunAsHardenedServices(t *testing.T) {
	dist := built(t)
	h := bootHost(t)
	before := h.traces()
	for _, name := range []string{"heliotx", "heliorx"} {
		b, err := os.ReadFile(filepath.Join(dist, name+"_"+testVersion+"_"+runtime.GOARCH+".deb"))
		if err != nil {
			t.Fatal(err)
		}
		h.put("/run/"+name+".deb", "600", b)
		h.does("dpkg", "--install", "/run/"+name+".deb")
		if got := h.property(name, "ActiveState") + " " + h.property(name, "ConditionResult") + " " +
			strings.TrimSpace(h.does("systemctl", "is-enabled", name)); got != "inactive no enabled" {
			t.Errorf("%s without a configuration: got %s, want inactive no enabled", name, got)
		}
	}
	lines := h.collect("127.0.0.1:6601")
	h.configure()
	h.does("systemctl", "start", "heliorx", "heliotx") // returns when both are ready
	for _, name := range []string{"heliotx", "heliorx"} {
		h.hardened(name)
	}
	await.NoError(t, "a line crosses", func() error {
		h.does("bash", "-c", "echo '<14>1 - host app - - - it crossed' >/dev/udp/127.0.0.1/5514")
		if got := lines(); !strings.Contains(got, "it crossed") {
			return fmt.Errorf("the collector has %q", got)
		}
		return nil
	})
	h.hangs("heliorx")
	h.purge(before)
}

// configure puts a pair's files where the packages expect them.
func (h *host) configure() {
	const link = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:17000\"\nkey_file = \"pair.key\"\n" +
		"[[syslog]]\nchannel = \"s\"\n"
	h.put("/etc/heliograph/pair.key", "644", pairkey.Format(pairkey.New())) // of both users, here
	h.put("/etc/heliograph/heliotx.toml", "644", []byte(link+"listen = [\"udp://127.0.0.1:5514\"]\n"))
	h.put("/etc/heliograph/heliorx.toml", "644", []byte(link+"forward = \"tcp://127.0.0.1:6601\"\n"))
}

// hardened checks what the kernel says of the process that runs.
func (h *host) hardened(name string) {
	h.t.Helper()
	pid := h.property(name, "MainPID")
	text := h.does("cat", "/proc/"+pid+"/status")
	uid := strings.TrimSpace(h.does("id", "-u", name))
	for _, want := range []string{"Uid:\t" + uid + "\t" + uid, "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
		"NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(text, want) {
			h.t.Errorf("%s: got\n%s\nwant %q", name, text, want)
		}
	}
	state := "/var/lib/heliograph/" + name
	if got := strings.TrimSpace(h.does("stat", "-c", "%U %a", state)); got != name+" 700" {
		h.t.Errorf("%s: got %s, want %s 700", state, got, name)
	}
	if got := h.property(name, "StatusText"); got == "" {
		h.t.Errorf("%s: systemd shows no state of it", name)
	}
}

// hangs stops a role's process, and waits until systemd has another.
func (h *host) hangs(name string) {
	h.t.Helper()
	h.put("/run/short.conf", "644", []byte("[Service]\nWatchdogSec=5\nRestartSec=1\n"))
	h.does("install", "-D", "-m", "644", "/run/short.conf", "/run/systemd/system/"+name+".service.d/short.conf")
	h.does("systemctl", "daemon-reload")
	h.does("systemctl", "restart", name)
	before := h.property(name, "MainPID")
	h.does("kill", "-STOP", before)
	await.NoError(h.t, name+" is restarted", func() error {
		got, state := h.property(name, "MainPID"), h.property(name, "ActiveState")
		if n, err := strconv.Atoi(got); err != nil || n == 0 || got == before || state != "active" {
			return fmt.Errorf("process %s, was %s, %s", got, before, state)
		}
		return nil
	})
}

// purge removes both packages, and checks that nothing is left but what was there before.
func (h *host) purge(before map[string]bool) {
	h.t.Helper()
	said := h.does("dpkg", "--purge", "heliotx", "heliorx")
	if !strings.Contains(said, "/etc/heliograph stays, with pair.key") {
		h.t.Errorf("got %q, want what stays", said)
	}
	h.does("rm", "-r", "/etc/heliograph")
	for left := range h.traces() {
		if !before[left] {
			h.t.Errorf("a purge left %s", left)
		}
	}
}

// traces are the files, users and processes there that have a name of ours.
func (h *host) traces() map[string]bool {
	h.t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(h.does("sh", "-c",
		"find /etc /usr /var/lib /var/cache -xdev -iname '*helio*' ! -path '/usr/src/*'; "+
			"grep helio /etc/passwd /etc/group /etc/shadow; ps ax | grep -i '[h]elio[tr]x'; true")) {
		found[strings.TrimSpace(line)] = true
	}
	return found
}
