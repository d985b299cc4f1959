package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Failed is the exit code of a stage that could not become the role.
const Failed = 126

// Main is the stage. PID 1 calls it before anything else; it returns at once
// unless this process was started by Command, and then never.
func Main() {
	if len(os.Args) != 2 || os.Args[0] != stageName {
		return
	}
	var s Spec
	err := json.Unmarshal([]byte(os.Args[1]), &s)
	if err == nil {
		err = s.become()
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	os.Exit(Failed)
}

// become turns this process into the role. What a thread may do is what the
// new program may do, so all of it happens on one thread.
func (s *Spec) become() error {
	runtime.LockOSThread()
	if err := s.check(); err != nil {
		return err
	}
	filter, err := program(s.Direction, os.Getpid())
	if err != nil {
		return err
	}
	for _, step := range []struct {
		doing string
		do    func() error
	}{
		{"handing the link and the keys down alone", s.ready},
		{"setting limits", s.limit},
		{"giving up privileges", s.dropPrivileges},
		{"restricting files and ports", s.restrict},
		{"loading the system call filter", filter.load},
		{"running " + s.Program, func() error {
			return syscall.Exec(s.Program, append([]string{s.Program}, s.Arguments...), s.Environment)
		}},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.doing, err)
		}
	}
	return nil // not reached
}

// ready makes the link non-blocking again, which os/exec undid, and hands
// nothing else down but standard streams, over which no descriptor can leave.
func (s *Spec) ready() error {
	for fd := range LinkDescriptor {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return fmt.Errorf("standard stream %d: %w", fd, err)
		}
		if stat.Mode&unix.S_IFMT == unix.S_IFSOCK {
			return fmt.Errorf("standard stream %d is a socket; use a pipe or a file", fd)
		}
	}
	if err := unix.SetNonblock(LinkDescriptor, true); err != nil {
		return fmt.Errorf("the link: %w", err)
	}
	first := uint(LinkDescriptor + 1)
	if s.KeysHanded {
		var stat unix.Stat_t
		if err := unix.Fstat(KeyDescriptor, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFIFO {
			return fmt.Errorf("the keys are not in a pipe: type %#o, %v", stat.Mode&unix.S_IFMT, err)
		}
		first = KeyDescriptor + 1
	}
	return unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

func (s *Spec) limit() error {
	for _, l := range []struct {
		resource int
		most     uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_MEMLOCK, 0},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_RTPRIO, 0},
		{unix.RLIMIT_NOFILE, s.Files},
		{unix.RLIMIT_NPROC, s.Threads},
	} {
		if err := unix.Prlimit(0, l.resource, &unix.Rlimit{Cur: l.most, Max: l.most}, nil); err != nil {
			return fmt.Errorf("resource %d: %w", l.resource, err)
		}
	}
	return nil
}

// dropPrivileges leaves a user without any capability, nor a way to one.
func (s *Spec) dropPrivileges() error {
	for c := uintptr(0); ; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) && c > 0 {
			break // past the last that this kernel knows
		} else if err != nil {
			return fmt.Errorf("dropping capability %d from the bounding set: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clearing ambient capabilities: %w", err)
	}
	if err := unix.Setgroups(nil); err != nil {
		return fmt.Errorf("leaving all groups: %w", err)
	}
	if err := unix.Setresgid(int(s.GID), int(s.GID), int(s.GID)); err != nil {
		return fmt.Errorf("becoming group %d: %w", s.GID, err)
	}
	if err := unix.Setresuid(int(s.UID), int(s.UID), int(s.UID)); err != nil {
		return fmt.Errorf("becoming user %d: %w", s.UID, err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// Rights on what a role uses (landlock(7)).
const (
	readFile   landlock.AccessFSSet = ll.AccessFSReadFile
	readFolder                      = readFile | ll.AccessFSReadDir
	writeState                      = readFolder | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRefer |
		ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir
)

func (s *Spec) restrict() error {
	rules := []landlock.Rule{
		landlock.PathAccess(readFile|ll.AccessFSExecute, s.Program),
		landlock.PathAccess(writeState, s.State),
	}
	for _, p := range s.Read {
		info, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case info.IsDir():
			rules = append(rules, landlock.PathAccess(readFolder, p))
		default:
			rules = append(rules, landlock.PathAccess(readFile, p))
		}
	}
	rules = append(rules, landlock.BindTCP(0)) // by which Go finds out whether there is IPv6
	for _, p := range s.Bind {
		rules = append(rules, landlock.BindTCP(p))
	}
	for _, p := range s.Connect {
		rules = append(rules, landlock.ConnectTCP(p))
	}
	all, err := landlock.NewConfig(landlock.V6.HandledAccessFS, landlock.V6.HandledAccessNet, landlock.V6.Scoped)
	if err != nil {
		return err
	}
	return all.Restrict(rules...)
}
