package sandbox

import "golang.org/x/sys/unix"

// machine is what this machine has beyond the generic table.
func machine() []rule {
	return []rule{
		// Go puts the first thread's storage here.
		{number: unix.SYS_ARCH_PRCTL, final: allow},
		{number: unix.SYS_NEWFSTATAT, final: allow},
		{number: unix.SYS_DUP2, tests: append(unlessLink(0), unlessLink(1)...), final: allow},
		{number: unix.SYS_IOPL, final: kill},
		{number: unix.SYS_IOPERM, final: kill},
		{number: unix.SYS_MODIFY_LDT, final: kill},
	}
}
