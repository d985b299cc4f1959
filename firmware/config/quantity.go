package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseRate reads "100Mbit/s" as bits per second.
func ParseRate(s string) (float64, error) {
	number, unit := splitUnit(s)
	scale := map[string]float64{"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}[unit]
	if scale == 0 || number < 0 {
		return 0, fmt.Errorf("write a rate as \"100Mbit/s\" (bit/s, kbit/s, Mbit/s, Gbit/s), not %q", s)
	}
	rate := number * scale
	if rate < minRate || rate > maxRate {
		return 0, fmt.Errorf("the rate %q must be from 9600bit/s to 10Gbit/s", s)
	}
	return rate, nil
}

// ParsePercent reads "25%" as 0.25.
func ParsePercent(s string) (float64, error) {
	number, unit := splitUnit(s)
	if unit != "%" || number < 0 {
		return 0, fmt.Errorf("write a share as \"25%%\", not %q", s)
	}
	if number > maxOverheadPercent {
		return 0, fmt.Errorf("the share %q must not exceed %d%%", s, maxOverheadPercent)
	}
	return number / 100, nil
}

// parseSize reads "64MB" or "64MiB" as bytes.
func parseSize(s string) (int64, error) {
	number, unit := splitUnit(s)
	scale := map[string]float64{"kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	if scale == 0 || number < 0 {
		return 0, fmt.Errorf("write a size as \"64MB\" (kB, MB, GB, KiB, MiB, GiB), not %q", s)
	}
	size := number * scale
	if size < minSpool || size > maxSpool {
		return 0, fmt.Errorf("the size %q must be from 1MiB to 1024GiB", s)
	}
	return int64(size), nil
}

// parseDuration reads "100ms", "3s", "10m", "30d" or "1d12h" between two bounds. A day has 24 hours.
func parseDuration(s string, low, high time.Duration) (d time.Duration, err error) {
	rest := s
	if days, behind, ok := strings.Cut(s, "d"); ok {
		n, number := strconv.ParseUint(days, 10, 16) // more days are out of any bounds
		d, rest, err = time.Duration(n)*day, behind, number
	}
	if err == nil && (rest != "" || d == 0) {
		var more time.Duration
		more, err = time.ParseDuration(rest)
		d += more
	}
	if err != nil {
		return 0, fmt.Errorf("write a time as \"100ms\", \"3s\", \"10m\" or \"30d\", not %q", s)
	}
	if d < low || d > high {
		return 0, fmt.Errorf("the time %q must be from %s to %s", s, formatDuration(low), formatDuration(high))
	}
	return d, nil
}

const day = 24 * time.Hour

// formatDuration writes whole days as such, and others as time.Duration does.
func formatDuration(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

// splitUnit splits a quantity into its number, negative if there is none, and its unit. A
// space between the two is allowed.
func splitUnit(s string) (float64, string) {
	end := strings.IndexFunc(s, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	if end < 0 {
		end = len(s)
	}
	number, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || math.IsInf(number, 0) {
		return -1, ""
	}
	return number, strings.TrimSpace(s[end:])
}
