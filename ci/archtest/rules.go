package archtest

import "slices"

// rule says what a package may be. Paths are relative to the module; one that
// ends in "/..." means the package and everything below it.
type rule struct {
	path string
	pure bool     // no I/O, clock, goroutine or log
	may  []string // packages of this module that it may import
	most int      // lines of all its files that are not tests; 0: see maxLines
}

// rules is the architecture. The first rule that fits a package holds, so the
// narrow ones stand before the wide ones.
func rules() []rule { return slices.Concat(sides(), libraries(), programs()) }

// sides are the packages of the link and of its two ends.
func sides() []rule {
	return []rule{
		// What both ends agree on.
		{path: "firmware/conduit/record", pure: true},
		{path: "firmware/conduit/wire", pure: true, may: []string{"firmware/conduit/record"}},
		{path: "firmware/conduit/payload/opcua", pure: true, may: []string{"firmware/opcua/uabinary", "firmware/opcua/rawvalue", "firmware/opcua/addrspace"}},
		{path: "firmware/conduit/payload/...", pure: true, may: []string{"firmware/conduit/payload/..."}},
		{path: "firmware/conduit/linktest/relay", may: []string{"drivers/udp/mmsg", "firmware/conduit/linktest"}},
		{path: "firmware/conduit/selfreport", may: []string{"firmware/platform/cause"}},
		{path: "firmware/conduit/...", may: []string{"firmware/conduit/..."}},

		// The plant's side of the wall.
		{path: "firmware/tx/carousel", pure: true, may: []string{"firmware/conduit/..."}},
		{path: "firmware/tx/replay", pure: true, may: []string{"firmware/conduit/..."}},
		{path: "firmware/tx/send", pure: true, may: []string{"firmware/conduit/...", "firmware/tx/carousel", "firmware/tx/replay"}},
		{path: "firmware/tx/source", pure: true},
		{path: "firmware/tx/source/sourcetest", pure: true, may: []string{"firmware/tx/source"}},
		{path: "firmware/tx/source/opcua/absence", may: []string{"firmware/opcua/uabinary"}},
		{path: "firmware/tx/source/syslog", may: []string{"drivers/udp/mmsg", "firmware/platform/cause", "firmware/platform/counter", "firmware/platform/fairshare", "firmware/platform/task", "firmware/tx/source/...", "firmware/conduit/payload/...", "firmware/config"}},
		{path: "firmware/tx/source/mqtt", may: []string{"firmware/config", "firmware/conduit/payload/mqtt", "firmware/mqtt/packet", "firmware/mqtt/topicfilter", "firmware/platform/cause", "firmware/platform/counter", "firmware/platform/store", "firmware/platform/task", "firmware/platform/text", "firmware/tx/source"}},
		{path: "firmware/tx/source/...", may: []string{"firmware/platform/cause", "firmware/platform/counter", "firmware/platform/regular", "firmware/platform/fairshare", "firmware/tx/source/...", "firmware/conduit/payload/...", "firmware/opcua/...", "firmware/config", "firmware/config/pattern", "firmware/platform/store", "firmware/platform/task", "firmware/platform/text"}},
		{path: "firmware/tx/node", may: []string{"firmware/config/...", "firmware/conduit/...", "firmware/opcua/pki", "firmware/platform/...", "firmware/tx/epoch", "firmware/tx/pagelog", "firmware/tx/pipeline", "firmware/tx/replay", "firmware/tx/source", "firmware/tx/totals"}},
		{path: "firmware/tx/epoch", may: []string{"firmware/platform/cause", "firmware/platform/store"}},
		{path: "firmware/tx/...", may: []string{"firmware/platform/cause", "firmware/platform/counter", "firmware/conduit/...", "firmware/tx/carousel", "firmware/tx/replay", "firmware/tx/send", "firmware/tx/source", "firmware/platform/store", "firmware/platform/task"}},

		// IT's side of the wall.
		{path: "firmware/rx/receive", pure: true, may: []string{"firmware/conduit/..."}},
		{path: "firmware/rx/holes", pure: true},
		{path: "firmware/rx/mirror", pure: true, may: []string{"firmware/conduit/...", "firmware/rx/holes"}},
		{path: "firmware/rx/sink", pure: true},
		{path: "firmware/rx/sink/sinktest", pure: true, may: []string{"firmware/rx/sink"}},
		{path: "firmware/rx/spool", may: []string{"firmware/platform/store"}},
		{path: "firmware/rx/history", may: []string{"firmware/opcua/uabinary", "firmware/platform/cause", "firmware/platform/counter", "firmware/platform/store"}},
		{path: "firmware/rx/announce/nodes", may: []string{"firmware/opcua/...", "firmware/platform/counter", "firmware/platform/status", "firmware/rx/sink"}},
		{path: "firmware/rx/announce", pure: true, may: []string{"firmware/platform/status", "firmware/platform/text"}},
		{path: "firmware/rx/sink/...", may: []string{"firmware/mqtt/...", "firmware/platform/cause", "firmware/platform/counter", "firmware/platform/fairshare", "firmware/rx/sink/...", "firmware/rx/history", "firmware/rx/spool", "firmware/conduit/payload/...", "firmware/opcua/...", "firmware/config/...", "firmware/platform/store", "firmware/platform/task"}},
		{path: "firmware/rx/memory", may: []string{"firmware/conduit/...", "firmware/rx/pipeline", "firmware/platform/cause", "firmware/platform/store", "firmware/platform/acceptance", "firmware/platform/task"}},
		{path: "firmware/rx/node", may: []string{
			"firmware/conduit/...", "firmware/config/...", "firmware/platform/...", "firmware/rx/memory", "firmware/rx/mirror",
			"firmware/rx/announce", "firmware/rx/pipeline", "firmware/rx/receive", "firmware/rx/sink", "firmware/rx/spool", "firmware/rx/history",
		}},
		{path: "firmware/rx/...", may: []string{"firmware/platform/cause", "firmware/platform/counter", "firmware/conduit/...", "firmware/rx/receive", "firmware/rx/holes", "firmware/rx/mirror", "firmware/rx/sink", "firmware/platform/store", "firmware/platform/task"}},
	}
}

// libraries do not depend on the link.
func libraries() []rule {
	return []rule{
		{path: "firmware/opcua/uabinary", pure: true},
		{path: "firmware/opcua/rawvalue", pure: true, may: []string{"firmware/opcua/uabinary"}},
		{path: "firmware/opcua/addrspace", pure: true, may: []string{"firmware/opcua/rawvalue"}},
		{path: "firmware/opcua/aggregate", pure: true},
		{path: "firmware/opcua/event", pure: true, may: []string{"firmware/opcua/rawvalue", "firmware/opcua/addrspace"}},
		{path: "firmware/opcua/historyread", pure: true, may: []string{"firmware/opcua/rawvalue", "firmware/opcua/uabinary",
			"firmware/opcua/aggregate"}},
		{path: "firmware/opcua/pki", may: []string{"firmware/platform/store", "firmware/platform/regular"}},
		{path: "firmware/opcua/servertest", may: []string{"firmware/opcua/channel", "firmware/opcua/rawvalue",
			"firmware/opcua/transport", "firmware/opcua/uabinary"}},
		{path: "firmware/opcua/...", may: []string{"firmware/platform/cause", "firmware/platform/counter", "firmware/platform/fairshare", "firmware/platform/text", "firmware/opcua/..."}},
		{path: "firmware/mqtt/packet", pure: true},
		{path: "firmware/mqtt/topicfilter", pure: true},
		{path: "firmware/mqtt/broker", pure: true, may: []string{"firmware/mqtt/packet", "firmware/mqtt/topicfilter", "firmware/conduit/payload/mqtt"}},
		{path: "firmware/mqtt/server", may: []string{"firmware/platform/fairshare", "firmware/mqtt/broker", "firmware/conduit/payload/mqtt"}},
		{path: "firmware/platform/handover"},
		{path: "firmware/platform/diagnosis", pure: true, may: []string{"firmware/platform/cause", "firmware/platform/counter", "firmware/platform/machine", "firmware/platform/status", "firmware/platform/task"}},
		{path: "firmware/platform/disk"},
		{path: "firmware/platform/health", pure: true},
		{path: "firmware/platform/counter", pure: true},
		{path: "firmware/platform/fairshare", pure: true},
		{path: "firmware/config/...", may: []string{"drivers/netdev", "firmware/config/...", "firmware/conduit/record", "firmware/platform/handover", "firmware/platform/regular", "firmware/platform/store", "firmware/platform/text"}},
		{path: "firmware/platform/role", may: []string{"firmware/config/...", "firmware/platform/handover", "firmware/platform/health", "firmware/platform/machine", "firmware/platform/identity/selfsigned", "firmware/platform/status", "firmware/platform/task", "firmware/platform/telemetry"}},
		{path: "firmware/platform/telemetry", may: []string{"firmware/platform/counter", "firmware/platform/status", "firmware/platform/task"}},
		{path: "firmware/platform/audit", pure: true, may: []string{"firmware/platform/text"}},
		{path: "firmware/platform/audit/keeper", may: []string{"firmware/platform/audit", "firmware/platform/cause", "firmware/platform/counter", "firmware/platform/store"}},
		{path: "firmware/platform/statement", pure: true},
		{path: "firmware/platform/status", may: []string{"firmware/platform/audit", "firmware/platform/cause", "firmware/platform/counter", "firmware/platform/disk", "firmware/platform/fairshare", "firmware/platform/machine", "firmware/platform/release", "firmware/platform/statement", "firmware/platform/task", "firmware/platform/text", "firmware/platform/trend"}},
		{path: "firmware/platform/trend", pure: true},
		{path: "firmware/platform/trend/keeper", may: []string{"firmware/platform/store", "firmware/platform/trend"}},
		{path: "firmware/platform/machine", may: []string{"firmware/platform/store"}},
		{path: "firmware/platform/release", may: []string{"firmware/platform/regular", "firmware/platform/text"}},
		{path: "firmware/platform/report", may: []string{"firmware/platform/handover", "firmware/platform/health", "firmware/platform/release", "firmware/platform/status", "firmware/platform/store", "firmware/platform/text"}},
		{path: "firmware/platform/systemd", may: []string{"firmware/platform/health", "firmware/platform/report", "firmware/platform/text"}},
		{path: "firmware/platform/identity", may: []string{"firmware/platform/counter", "firmware/platform/regular", "firmware/platform/statement", "firmware/platform/text", "firmware/opcua/pki"}},
		{path: "firmware/platform/identity/selfsigned", may: []string{"firmware/platform/store"}},
		{path: "firmware/platform/regular"},
		{path: "firmware/platform/store"},
		{path: "firmware/platform/text", pure: true},
		{path: "firmware/platform/acceptance", may: []string{"firmware/platform/store", "firmware/platform/regular"}},
		{path: "firmware/platform/timekeeping"},
		{path: "firmware/platform/task", may: []string{"firmware/platform/cause"}},
		{path: "firmware/platform/cause"},
		{path: "drivers/...", may: []string{"drivers/..."}},
		{path: "boards/fit", pure: true, may: []string{"boards", "firmware/config"}},
		{path: "boards/...", may: []string{"boards/..."}},
	}
}

// programs are the composition roots, and what never runs on a board.
func programs() []rule {
	return []rule{
		// The wall holds for these by reach.
		{path: "firmware/cmd/heliotx/...", most: maxMain, may: []string{"firmware/...", "drivers/...", "boards/..."}},
		{path: "firmware/cmd/heliorx/...", most: maxMainRX, may: []string{"firmware/...", "drivers/...", "boards/..."}},
		{path: "rootfs/...", may: []string{"rootfs/...", "firmware/platform/acceptance", "firmware/platform/cause", "firmware/config/...", "firmware/platform/diagnosis", "firmware/platform/disk", "firmware/platform/handover", "firmware/platform/health", "firmware/opcua/pki", "firmware/platform/machine", "firmware/platform/regular", "firmware/platform/release", "firmware/platform/report", "firmware/platform/status", "firmware/platform/store", "firmware/platform/task", "firmware/platform/text", "drivers/...", "boards/..."}},

		// What never runs on a board may look at everything.
		{path: "tools/...", may: []string{"..."}},
		{path: "ci/...", may: []string{"..."}},
	}
}

// wall is where nothing may pass, not even over a third package.
type wall struct{ from, to string }

func walls() []wall {
	return []wall{
		{"firmware/tx/...", "firmware/rx/..."},
		{"firmware/rx/...", "firmware/tx/..."},
		{"firmware/cmd/heliotx/...", "firmware/rx/..."},
		{"firmware/cmd/heliorx/...", "firmware/tx/..."},
		{"firmware/...", "drivers/probe"}, // a role has no code that sends towards TX
	}
}

// impure are packages that a pure one may not import.
func impure() []string {
	return []string{"os", "os/...", "net", "net/http/...", "net/rpc/...", "net/smtp", "syscall", "log", "log/...", "io/ioutil",
		"crypto/rand", "math/rand/...", "golang.org/x/sys/...", "golang.org/x/net/...", "runtime/..."}
}

// clocks are functions of package time that ask for the time or wait for it.
func clocks() []string {
	return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
}

// testOnly are packages that only tests, and what stands in them, import.
func testOnly() []string {
	return []string{
		"ci/...", "drivers/drivertest", "drivers/ethernet/ethernettest", "firmware/conduit/linktest/...",
		"firmware/opcua/servertest", "firmware/rx/sink/sinktest", "firmware/tx/source/sourcetest",
	}
}

// simulated are those of them that tools need as well, to measure and to show an
// impaired link. None imports package testing.
func simulated() []string {
	return []string{"ci/freeport", "ci/linksim", "firmware/conduit/linktest/..."}
}

// durable are packages whose files outlive a power cut.
func durable() []string { return []string{"firmware/...", "rootfs/..."} }

// renaming are packages that may rename by themselves: the one that does it for
// all, and the log, whose newest lines are not worth a sync.
func renaming() []string { return []string{"firmware/platform/store", "rootfs/logring"} }

// unwrapped are folders and files whose lines are not held to maxColumns: a table.
func unwrapped() []string {
	return []string{"ci/archtest/rules.go"}
}
