// Package e2e proves the whole gateway: the programs as they are shipped, real
// brokers and collectors at both ends, an impaired link between them.
//
// It holds tests alone and exports nothing.
package e2e
