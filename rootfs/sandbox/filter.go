package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filter is an assembled program for seccomp(2).
type filter []bpf.RawInstruction

// verdict is what seccomp(2) does with a call.
type verdict uint32

const (
	allow verdict = unix.SECCOMP_RET_ALLOW
	deny  verdict = unix.SECCOMP_RET_ERRNO | verdict(unix.EPERM)
	other verdict = unix.SECCOMP_RET_ERRNO | verdict(unix.EINVAL) // Go then takes another way
	// pretend says that all went well, and does nothing.
	pretend verdict = unix.SECCOMP_RET_ERRNO
	old     verdict = unix.SECCOMP_RET_ERRNO | verdict(unix.ENOSYS) // as on a kernel without it
	kill    verdict = unix.SECCOMP_RET_KILL_PROCESS
)

// Offsets in struct seccomp_data (linux/seccomp.h). Both machines are little
// endian: an argument's lower half comes first.
const (
	offNumber    = 0
	offArch      = 4
	offArguments = 16
	sizeArgument = 8
)

// test compares the lower half of one argument: masked, is it one of the
// values? When it is, or with not when it is none, the verdict is given.
type test struct {
	argument uint32
	mask     uint32 // 0 means all bits
	not      bool
	values   []uint32
	then     verdict
}

// rule is what happens to one system call: the first test that fits, else final.
type rule struct {
	number uintptr
	tests  []test
	final  verdict
}

// program assembles the filter of a role whose process is pid.
func program(d Direction, pid int) (filter, error) {
	arch, ok := architectures()[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("no system call filter for %s", runtime.GOARCH)
	}
	code := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		bpf.RetConstant{Val: uint32(kill)},
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1},
		bpf.RetConstant{Val: uint32(kill)},
	}
	seen := map[uintptr]bool{}
	for _, r := range rules(d, pid) {
		if seen[r.number] {
			return nil, fmt.Errorf("two rules for system call %d", r.number)
		}
		seen[r.number] = true
		body := r.assemble()
		code = append(code, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(r.number), SkipTrue: uint8(len(body))})
		code = append(code, body...)
	}
	return bpf.Assemble(append(code, bpf.RetConstant{Val: uint32(deny)}))
}

// assemble ends on every way in a verdict: what is in the accumulator never
// reaches the next rule.
func (r rule) assemble() (body []bpf.Instruction) {
	for _, t := range r.tests {
		body = append(body, bpf.LoadAbsolute{Off: offArguments + sizeArgument*t.argument, Size: 4})
		if t.mask != 0 {
			body = append(body, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: t.mask})
		}
		// Each value jumps to the verdict, or past it. Behind the last stands a
		// jump for the other case.
		left := uint8(len(t.values))
		for _, v := range t.values {
			hit := left // past the values that are left, and the jump
			if t.not {
				hit++ // and past the verdict
			}
			body = append(body, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: hit})
			left--
		}
		miss := uint32(1)
		if t.not {
			miss = 0
		}
		body = append(body, bpf.Jump{Skip: miss}, bpf.RetConstant{Val: uint32(t.then)})
	}
	return append(body, bpf.RetConstant{Val: uint32(r.final)})
}

// load puts the filter on every thread of this process. It needs no_new_privs.
func (f filter) load() error {
	p := unix.SockFprog{Len: uint16(len(f)), Filter: (*unix.SockFilter)(unsafe.Pointer(&f[0]))}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return errno
	}
	if thread != 0 {
		return fmt.Errorf("thread %d has a filter of its own", thread)
	}
	return nil
}
