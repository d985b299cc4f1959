package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
)

// Our own bounds.
const (
	statusTimeout = 5 * time.Second
	loginTimeout  = 15 * time.Second // a password is compared slowly, in turn
	maxStatus     = 8 << 20          // bytes of /status.json
)

var (
	errLogin   = errors.New("the status port asks for a user and a password that it knows")
	errForeign = errors.New("another program answers there")
	errOther   = errors.New("a program with another certificate answers there")
	errSilent  = errors.New("a program takes connections there, and does not answer in time")
)

// running asks a role that runs how it stands.
func (x *examination) running(ctx context.Context) {
	pid, held := holder(x.state)
	x.result.Running = held
	if x.status.Listen == "" {
		if held {
			x.unchecked("the role: process " + pid + " runs, without a status port: set [status] listen to see its " +
				"own reasons")
		} else {
			x.stopped()
		}
		return
	}
	snap, err := x.ask(ctx)
	if err == nil && !x.mine(snap, held) {
		err = x.another()
	}
	where := "[status] listen"
	switch {
	case err == nil:
		x.result.Running, x.reported, x.result.Trust = true, true, snap.Trust
		x.found(x.site.Snapshot(snap, x.now())...)
		if snap.Ready {
			x.fine("the role runs, and is ready")
		}
	case errors.Is(err, errLogin):
		x.result.Running = true
		x.add("login", where, err.Error(), "heliograph doctor --config "+x.File+" --user NAME --password-file FILE")
	case errors.Is(err, errOther) && held:
		x.add("status-certificate", where, fmt.Sprintf("helio%s serves with another certificate than %s", x.Role,
			x.statusCertificate()), "restart helio"+x.Role)
	case errors.Is(err, errForeign), errors.Is(err, errOther):
		x.add("port-in-use", where, fmt.Sprintf("%s: %v", x.status.Listen, err), "end the other program, or set "+
			"listen in [status] of "+x.File+" to another port")
		if !held {
			x.stopped()
		}
	case held:
		x.add("role-stuck", "role", fmt.Sprintf("process %s holds %s and does not answer at its status port: %v", pid,
			x.state, err), "see its log; if the configuration was changed, restart helio"+x.Role)
	case errors.Is(err, errSilent):
		x.add("port-in-use", where, fmt.Sprintf("%s: %v", x.status.Listen, err), "`ss -lntp` names the program: end "+
			"it, or set listen in [status] of "+x.File+" to another port")
	default:
		x.stopped()
	}
}

// mine reports whether the role that answers is that of this configuration: others of the same pair
// may run on this machine. Where /proc/locks does not show the lock of the state, as of some file
// systems, its file names the process.
func (x *examination) mine(snap *status.Snapshot, held bool) bool {
	if x.store != nil && x.store.Own() != nil {
		own := pki.Thumbprint(x.store.Own().Certificate.Raw)
		if slices.ContainsFunc(snap.Certificates, func(c status.Certificate) bool {
			return c.Board == x.Role && c.Thumbprint != "" && c.Thumbprint != own
		}) {
			return false
		}
	}
	if held || len(snap.Refused) > 0 { // of a board, whose role has not begun
		return true
	}
	pid, err := store.ReadHolder(x.state)
	if err != nil { // a disk that takes no file takes no lock either
		return slices.ContainsFunc(snap.NotReady, func(r task.Reason) bool {
			return r.Why.Code == cause.DiskFull || r.Why.Code == cause.StateUnwritable
		})
	}
	return alive(pid)
}

// another is the error of a role that answers and is not of this configuration.
func (x *examination) another() error {
	return fmt.Errorf("%w: another helio%s, which is not that of %s", errForeign, x.Role, x.File)
}

// stopped is what a role that does not run means: before its first start nothing.
func (x *examination) stopped() {
	entries, _ := os.ReadDir(x.state)
	ran := slices.ContainsFunc(entries, func(e os.DirEntry) bool { // certificates may be made before
		return filepath.Join(x.state, e.Name()) != filepath.Clean(x.pki)
	})
	if !ran {
		x.unchecked("the role: helio" + x.Role + " does not run, and was not started yet")
		return
	}
	x.add("not-running", "role", "helio"+x.Role+" does not run; it has run before: its state is in "+x.state, "start "+
		"helio"+x.Role+": `systemctl start helio"+x.Role+"`, or `helio"+x.Role+" --config "+x.File+"`; its log says "+
		"why it ended")
}

// ask reads /status.json of the role of this configuration.
func (x *examination) ask(ctx context.Context) (*status.Snapshot, error) {
	within := statusTimeout
	if x.User != "" {
		within = loginTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	scheme := "http"
	if x.status.Secure {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+local(x.status.Listen)+"/status.json", nil)
	if err != nil {
		return nil, err
	}
	if x.User != "" {
		r.SetBasicAuth(x.User, x.Password)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: x.pinned(), DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return nil, unanswered(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return nil, errLogin
	}
	var snap status.Snapshot
	err = json.NewDecoder(io.LimitReader(answer.Body, maxStatus)).Decode(&snap)
	if ctx.Err() != nil {
		return nil, errSilent
	}
	pair := x.TX.Pair + x.RX.Pair
	switch {
	case err != nil || snap.Role != x.Role:
		return nil, errForeign
	case snap.Pair != pair && len(snap.Refused) == 0:
		return nil, x.another()
	}
	return &snap, nil
}

// unanswered is why a question had no answer. A program that answers as no role does is
// another.
func unanswered(err error) error {
	op, network := errors.AsType[*net.OpError](err)
	switch {
	case network && op.Op == "dial":
		return op.Err
	case errors.Is(err, context.DeadlineExceeded):
		return errSilent
	case errors.Is(err, errOther):
		return errOther
	}
	return errForeign
}

// pinned accepts the certificate of the role alone: a password is sent to nothing else.
func (x *examination) pinned() *tls.Config {
	own := []byte("none")
	if text, err := config.ReadFile(x.statusCertificate()); err == nil {
		if block, _ := pem.Decode(text); block != nil {
			own = block.Bytes
		}
	}
	verify := func(s tls.ConnectionState) error {
		if !bytes.Equal(s.PeerCertificates[0].Raw, own) {
			return errOther
		}
		return nil
	}
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: verify, MinVersion: tls.VersionTLS12}
}

// statusCertificate is the file with the certificate of the status port.
func (x *examination) statusCertificate() string {
	if file := x.status.TLS.Certificate; file != "" {
		return file
	}
	file, _ := selfsigned.Files(x.pki, "status")
	return file
}

// local is where this machine reaches a listener.
func local(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	ip, wrong := netip.ParseAddr(host)
	if err == nil && (host == "" || wrong == nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
