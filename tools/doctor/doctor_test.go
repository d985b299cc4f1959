package doctor_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
	"heliograph/tools/doctor"
)

// site is a folder with the files of one side.
type site struct {
	t    *testing.T
	dir  string
	role string
	more doctor.Config
}

const head = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:%d\"\nkey_file = \"pair.key\"\n"

// newSite makes a side over UDP; tables follow [link].
func newSite(t *testing.T, role, tables string) *site {
	t.Helper()
	return newSiteWith(t, role, fmt.Sprintf(head, await.FreePort(t))+tables)
}

func newSiteWith(t *testing.T, role, text string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), role: role}
	if err := pairkey.Create(s.path("pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	s.write(role+".toml", text)
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// identity makes the side's own certificate.
func (s *site) identity() *pki.Store {
	s.t.Helper()
	own, err := pki.Open(pki.Config{Directory: s.path("state/pki"), Application: identity.Application(s.role, "p")})
	if err != nil {
		s.t.Fatal(err)
	}
	return own
}

func (s *site) examine() doctor.Result {
	s.t.Helper()
	c := s.more
	c.Role, c.File = s.role, s.path(s.role+".toml")
	var err error
	if s.role == "rx" {
		c.RX, c.Warnings, err = config.LoadRX(c.File)
	} else {
		c.TX, c.Warnings, err = config.LoadTX(c.File)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	before := listing(s.t, s.dir)
	r := doctor.Run(s.t.Context(), c)
	if after := listing(s.t, s.dir); after != before {
		s.t.Errorf("it changed files:\n%s\nbefore\n%s\nafter", before, after)
	}
	return r
}

// listing is the names, sizes and times of all files of a folder, without the times of folders:
// a file that is there for a moment changes those.
func listing(t *testing.T, dir string) (all string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || strings.Contains(path, "full") {
			return nil
		}
		info, err := d.Info()
		switch {
		case err == nil && d.IsDir():
			all += fmt.Sprintln(path, info.Mode())
		case err == nil:
			all += fmt.Sprintln(path, info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
		return nil
	})
	return all
}

// finds wants a finding with words in its cause and its cure.
func finds(t *testing.T, r doctor.Result, code, cause, cure string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Code == code && strings.Contains(f.Cause, cause) && strings.Contains(f.Cure, cure) {
			return
		}
	}
	t.Errorf("no finding %s with %q and cure %q in\n%s", code, cause, cure, strings.Join(r.Findings.Lines(), "\n"))
}

// only wants no finding but those with some codes.
func only(t *testing.T, r doctor.Result, codes ...string) {
	t.Helper()
	for _, f := range r.Findings {
		if !slices.Contains(codes, f.Code) {
			t.Errorf("finding %+v; want %q alone", f, codes)
		}
	}
}

func syslogTX(t *testing.T) string {
	return fmt.Sprintf("[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://127.0.0.1:%d\"]\n", await.FreePort(t))
}

func TestASideThatWasNeverStartedHasNoFinding(t *testing.T) {
	only(t, newSite(t, "tx", syslogTX(t)).examine())
}

func TestASideThatRanBeforeIsMissed(t *testing.T) {
	for _, status := range []string{"", fmt.Sprintf("[status]\nlisten = \"127.0.0.1:%d\"\n", await.FreePort(t))} {
		s := newSite(t, "tx", status+syslogTX(t))
		s.identity() // is made before the first start
		only(t, s.examine())
		s.write("state/audit", "")
		r := s.examine()
		finds(t, r, "not-running", "heliotx does not run", "heliotx --config "+s.path("tx.toml"))
		only(t, r, "not-running")
	}
}

func TestAStatusPortThatDoesNotAnswerIsNamed(t *testing.T) {
	for name, answer := range map[string]string{"silent": "", "dripping header": "HTTP/1.1 200 OK\r\n",
		"dripping body": "HTTP/1.1 200 OK\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					defer c.Close()
					go func() {
						if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
							fmt.Fprint(c, answer)
						}
					}()
				}
			}()
			s := newSite(t, "tx", "[status]\nlisten = \""+l.Addr().String()+"\"\n"+syslogTX(t))
			finds(t, s.examine(), "port-in-use", "does not answer in time", "ss -lntp")
		})
	}
}

func TestACertificateOfTheStatusPortThatHasEndedIsNamed(t *testing.T) {
	s := newSite(t, "tx", syslogTX(t))
	certificate, key, err := selfsigned.Ensure(s.path("own"), "status", "127.0.0.1:1", time.Now().AddDate(-60, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(head, await.FreePort(t)) + fmt.Sprintf("[status]\nlisten = \"https://127.0.0.1:%d\"\n"+
		"certificate = %q\nprivate_key = %q\n", await.FreePort(t), certificate, key) + syslogTX(t)
	s.write("tx.toml", text)
	r := s.examine()
	finds(t, r, "certificate-expiry", "ended on", "and restart heliotx")
	only(t, r, "certificate-expiry")
	if strings.Contains(strings.Join(append(r.Warnings, r.Unchecked...), "\n"), "ended on") {
		t.Errorf("it is said twice: %q and %q", r.Warnings, r.Unchecked)
	}
}

func TestOtherWarningsOfTheConfigurationAreListed(t *testing.T) {
	s := newSite(t, "tx", "[[opcua]]\nchannel = \"o\"\nendpoint = \"opc.tcp://127.0.0.1:1\"\n"+
		"security_policy = \"None\"\n")
	r := s.examine()
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], s.path("tx.toml")+":9: ") ||
		strings.Contains(r.Warnings[0], "warning") {
		t.Errorf("got %q, want that the connection is not protected, once", r.Warnings)
	}
}

func TestFilesThatOthersReadAreNamed(t *testing.T) {
	s := newSite(t, "tx", syslogTX(t))
	if err := os.Chmod(s.path("pair.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := s.examine()
	finds(t, r, "file-permissions", "every user of this machine can read", "chmod 600 "+s.path("pair.key"))
	only(t, r, "file-permissions")
}

func TestAStateThatCannotBeWrittenIsNamed(t *testing.T) {
	s := newSite(t, "tx", "[state]\ndirectory = \"/proc/heliograph\"\n"+syslogTX(t))
	finds(t, s.examine(), "state-unwritable", "/proc cannot be written", "[state]")
}

func TestFilesOfAnotherUserInTheStateAreNamed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not proved: files of another user, because this is not root")
	}
	s := newSite(t, "tx", syslogTX(t))
	if err := os.Mkdir(s.path("state"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("state/epoch.a", "")
	if err := os.Chown(s.path("state/epoch.a"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	finds(t, s.examine(), "file-permissions", "epoch.a is of another user", "chown -R --reference="+s.path("state"))
}

func TestPortsInUseAreNamed(t *testing.T) {
	s := newSite(t, "tx", fmt.Sprintf("[status]\nlisten = \"127.0.0.1:%d\"\n", await.FreePort(t))+syslogTX(t))
	cfg, _, err := config.LoadTX(s.path("tx.toml"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", cfg.Status.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // another server: it ends each connection
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			c.Close()
		}
	}()
	u, err := net.ListenPacket("udp", strings.TrimPrefix(cfg.Syslog[0].Listen[0], "udp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	r := s.examine()
	finds(t, r, "port-in-use", "another program answers", "[status]")
	finds(t, r, "port-in-use", cfg.Syslog[0].Listen[0][6:], "ss -lnp")
}

func TestAnAddressOfAnotherMachineIsNamed(t *testing.T) {
	s := newSite(t, "tx", "[[syslog]]\nchannel = \"s\"\nlisten = [\"tcp://192.0.2.1:5514\"]\n")
	finds(t, s.examine(), "address", "192.0.2.1:5514", "ip address")
}

func TestARoleThatHoldsItsStateIsNotAFault(t *testing.T) {
	s := newSite(t, "tx", syslogTX(t))
	release, err := store.Lock(s.path("state"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	r := s.examine()
	if only(t, r); !r.Running {
		t.Error("the role that holds the state is not seen")
	}
}

// A role of the same pair that answers at the status port is this configuration's only if it has
// this state, and this certificate.
func TestAnotherRoleAtTheStatusPortIsNotTakenForThisOne(t *testing.T) {
	snap := status.Snapshot{Role: "rx", Pair: "p", Ready: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(snap)
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	s := newSite(t, "rx", "[status]\nlisten = \""+address+"\"\n[[opcua]]\nchannel = \"o\"\n"+
		"listen = \"opc.tcp://127.0.0.1:0\"\n")
	foreign := func(when string) doctor.Result {
		t.Helper()
		r := s.examine()
		finds(t, r, "port-in-use", "another heliorx", "[status]")
		if r.Running || r.Trust != nil || strings.Contains(strings.Join(r.Fine, "\n"), "the role runs") {
			t.Errorf("%s: another role is taken for this one: %+v", when, r)
		}
		return r
	}
	foreign("never started")
	own := s.identity()
	s.write("state/lock", "999999999\n") // is not a process
	finds(t, foreign("ended"), "not-running", "heliorx does not run", "systemctl start heliorx")
	release, err := store.Lock(s.path("state"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if r := s.examine(); !r.Running || !slices.Contains(r.Fine, "the role runs, and is ready") {
		t.Errorf("with this state: got %+v, want that it runs", r)
	}
	ours := status.Certificate{Board: "rx", Name: "opcua own", Thumbprint: pki.Thumbprint(own.Own().Certificate.Raw),
		Expires: time.Now().AddDate(1, 0, 0)}
	snap.Certificates = []status.Certificate{ours}
	if r := s.examine(); r.Trust != nil || !slices.Contains(r.Fine, "the role runs, and is ready") {
		t.Errorf("with this certificate: got %+v, want that it runs", r)
	}
	snap.Certificates[0].Thumbprint = strings.Repeat("A", 40)
	finds(t, s.examine(), "port-in-use", "another heliorx", "[status]")
}

// A role that was not restarted since its certificate was renewed is not another program.
func TestAStatusPortWithAnotherCertificateIsTheRolesWhileItHoldsItsState(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	address := server.Listener.Addr().String()
	s := newSite(t, "rx", "[status]\nlisten = \"https://"+address+"\"\n[[opcua]]\nchannel = \"o\"\n"+
		"listen = \"opc.tcp://127.0.0.1:0\"\n")
	s.identity()
	certificate, _, err := selfsigned.Ensure(s.path("state/pki"), "status", address, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	finds(t, s.examine(), "port-in-use", "another certificate", "end the other program")
	release, err := store.Lock(s.path("state"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	r := s.examine()
	finds(t, r, "status-certificate", "heliorx serves with another certificate than "+certificate, "restart heliorx")
	if only(t, r, "status-certificate"); !r.Running {
		t.Error("the role that holds the state is not seen")
	}
}

func TestCollectorsThatAreNotReachedAreNamed(t *testing.T) {
	closed := await.FreePort(t)
	sink := func(name, forward string) string {
		return fmt.Sprintf("[[syslog]]\nchannel = %q\nforward = %q\n", name, forward)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() { // it does not use TLS
		for c, err := plain.Accept(); err == nil; c, err = plain.Accept() {
			fmt.Fprintln(c, "220 ready")
		}
	}()
	r := newSite(t, "rx", sink("refused", fmt.Sprintf("tcp://127.0.0.1:%d", closed))+
		sink("name", "tcp://collector.invalid:601")+sink("clear", "tls://"+plain.Addr().String())).examine()
	finds(t, r, "connection-refused", fmt.Sprint(closed), "[[syslog]] refused")
	finds(t, r, "name-unknown", "collector.invalid", "/etc/resolv.conf")
	finds(t, r, "tls-off", plain.Addr().String(), "TLS port")
	only(t, r, "connection-refused", "name-unknown", "tls-off")
}

func TestTheOtherSidesFileIsCompared(t *testing.T) {
	s := newSite(t, "tx", syslogTX(t)+"[[syslog]]\nchannel = \"same\"\nlisten = [\"udp://127.0.0.1:0\"]\n")
	if err := pairkey.Create(s.path("other.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(fmt.Sprintf(head, await.FreePort(t)), "pair.key", "other.key", 1) +
		"[state]\ndirectory = \"state-rx\"\n[[syslog]]\nchannel = \"x\"\nforward = \"udp://127.0.0.1:9\"\n" +
		"[[mqtt]]\nchannel = \"same\"\nbroker = \"mqtt://127.0.0.1:9\"\n"
	s.write("rx.toml", other)
	s.more.Other = s.path("rx.toml")
	r := s.examine()
	finds(t, r, "key-mismatch", "is not the key of TX", "heliograph key show")
	finds(t, r, "channel-name", "channel \"s\" (syslog) has no table in RX's file", "both files")
	finds(t, r, "channel-name", "channel \"x\" (syslog) has no table in TX's file", "both files")
	finds(t, r, "channel-name", "channel \"same\" is mqtt, and syslog", "both files")
	uart := "pair = \"p\"\n[link]\nmedium = \"uart\"\ndevice = \"/dev/ttyAMA3\"\nbaud = %d\nkey_file = \"pair.key\"\n"
	s = newSiteWith(t, "tx", fmt.Sprintf(uart, 921600)+syslogTX(t))
	s.write("rx.toml", fmt.Sprintf(uart, 115200)+"[[syslog]]\nchannel = \"s\"\nforward = \"udp://127.0.0.1:9\"\n")
	s.more.Other = s.path("rx.toml")
	r = s.examine()
	finds(t, r, "baud", "baud is 115200, and 921600", "one baud")
	finds(t, r, "device-missing", "/dev/ttyAMA3", "/dev/serial/by-id")
}

func TestSecretsOfTheOtherSideNeedNotBeHere(t *testing.T) {
	s := newSite(t, "tx", syslogTX(t))
	s.write("rx.toml", fmt.Sprintf(head, await.FreePort(t))+"[[mqtt]]\nchannel = \"s\"\nbroker = \"mqtt://it\"\n"+
		"username = \"a\"\npassword_file = \"only-there\"\n")
	s.more.Other = s.path("rx.toml")
	r := s.examine()
	if only(t, r); !strings.Contains(strings.Join(r.Unchecked, "\n"), "only-there") {
		t.Errorf("got %q, want the missing file", r.Unchecked)
	}
}

func TestCertificatesNearTheirEndAndClocksBehindAreNamed(t *testing.T) {
	const mirror = "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://127.0.0.1:0\"\n"
	at := func(s *site, then time.Time) {
		t.Helper()
		if _, err := pki.Open(pki.Config{Directory: s.path("state/pki"), Application: identity.Application("rx", "p"),
			Now: func() time.Time { return then }}); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, "rx", mirror)
	finds(t, s.examine(), "no-certificate", "heliorx has no certificate", "heliograph cert new --config")
	at(s, time.Now().AddDate(-9, -11, -20))
	finds(t, s.examine(), "certificate-expiry", "ends on", "heliograph cert new --config "+s.path("rx.toml"))
	s = newSite(t, "rx", mirror)
	at(s, time.Now().AddDate(1, 0, 0))
	finds(t, s.examine(), "clock", "the clock is before", "timedatectl")
}
