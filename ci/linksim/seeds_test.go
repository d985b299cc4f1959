//go:build !race

package linksim

// outageSeeds is how many runs TestOutagesHeal tries.
const outageSeeds = 1500
