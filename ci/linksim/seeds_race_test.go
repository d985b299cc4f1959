//go:build race

package linksim

// outageSeeds is how many runs TestOutagesHeal tries: few with the race detector, which
// makes each ten times as long. make test runs it without, too.
const outageSeeds = 50
