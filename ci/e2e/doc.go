// Package e2e proves the whole gateway: the programs as they are shipped, real
// brokers and collectors at both ends, an impaired link between them.
//
// Most tests run beside each other: they wait more than they work, and share nothing
// but the machine. Those that judge throughput or delay, or flood, run alone.
//
// It holds tests alone and exports nothing.
package e2e
