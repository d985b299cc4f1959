package supervisor

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/rootfs/sandbox"
)

// defaultPage is where faults are shown if the configuration does not say where the
// status is: on the usual port, of the one address that network.toml gives the board.
const defaultPage = "0.0.0.0:9464"

// refuse shows why the role does not run: on the LED, the console and the status port.
func (s *Supervisor) refuse(ctx context.Context, r refused) {
	s.Vitals.configurationInvalid(r.Error())
	s.mu.Lock()
	known := slices.Equal(s.faults, r.faults)
	s.faults = r.faults
	s.mu.Unlock()
	if !known { // it is read again and again
		for _, f := range r.faults {
			s.Log.Error("configuration refused", "error", f)
		}
	}
	listen, found := config.StatusListen(filepath.Join(s.Folders.Card, configurationFile))
	if !found {
		listen = defaultPage
	}
	if listen == "" {
		s.page.close() // the file is read, and wants no status port
		return
	}
	if err := s.showFaults(ctx, handover.Refusal{Listen: listen, Faults: r.faults}); err != nil {
		s.Log.Error("faults of the configuration not shown on the status port", "error", err)
	} else if !known {
		s.Log.Info("faults of the configuration shown on the status port", "url", "http://"+listen+"/")
	}
}

// accept ends what a refused configuration has shown.
func (s *Supervisor) accept() {
	s.mu.Lock()
	s.faults = nil
	s.mu.Unlock()
	s.page.close()
}

// Faults returns those of the configuration, none while it is not refused.
func (s *Supervisor) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// faultPage is the process that shows faults. The zero value is none.
type faultPage struct {
	shown string
	stop  context.CancelFunc
	ended chan struct{}
}

// close ends the process, and returns when its port is free.
func (p *faultPage) close() {
	if p.stop != nil {
		p.stop()
		<-p.ended
	}
	*p = faultPage{}
}

// showing reports whether the process runs, and shows this.
func (p *faultPage) showing(what string) bool {
	if p.stop == nil || p.shown != what {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// showFaults has the role's program show a refusal until ctx ends or the page is closed.
func (s *Supervisor) showFaults(ctx context.Context, r handover.Refusal) error {
	shown := r.Listen + "\n" + strings.Join(r.Faults, "\n")
	if s.page.showing(shown) {
		return nil
	}
	s.page.close()
	spec, err := s.pageSpec(r)
	if err != nil {
		return err
	}
	defer spec.Link.Close()
	process, err := s.Starter.Start(spec, s.RoleLog)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	s.page = faultPage{shown: shown, stop: stop, ended: make(chan struct{})}
	go func(ended chan struct{}) {
		gone := make(chan struct{})
		go terminate(ctx, process, gone)
		_, _ = io.Copy(io.Discard, process.Reports()) // it makes none
		_ = process.Wait()                            // why it ended is in its log
		close(gone)
		stop()
		close(ended)
	}(s.page.ended)
	return nil
}

// pageSpec returns the sandbox of the process that shows a refusal: it has a folder with
// that alone, one port, and a link that leads nowhere.
func (s *Supervisor) pageSpec(r handover.Refusal) (sandbox.Spec, error) {
	folder := s.Folders.Home + "-refused"
	file := filepath.Join(folder, "refusal.json")
	if err := os.RemoveAll(folder); err != nil {
		return sandbox.Spec{}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return sandbox.Spec{}, err
	}
	if err := handover.WriteRefusal(file, r); err != nil {
		return sandbox.Spec{}, err
	}
	for _, name := range []string{folder, file} {
		if err := os.Chown(name, s.User, s.User); err != nil {
			return sandbox.Spec{}, err
		}
	}
	flag := os.O_WRONLY
	if s.direction() == sandbox.Receive {
		flag = os.O_RDONLY
	}
	nowhere, err := os.OpenFile(os.DevNull, flag, 0)
	if err != nil {
		return sandbox.Spec{}, err
	}
	ports := (&config.TX{Status: config.Status{Listen: r.Listen}}).Ports()
	return sandbox.Spec{
		Program:     "/bin/helio" + s.Role,
		Environment: []string{"HOME=" + folder, handover.Refused + "=" + file},
		Link:        nowhere, Direction: s.direction(), UID: uint32(s.User), GID: uint32(s.User),
		State: folder, Bind: ports.Listen, Files: maxFiles, Threads: maxThreads,
		Read: []string{"/proc/sys/net/core/somaxconn"},
	}, nil
}
