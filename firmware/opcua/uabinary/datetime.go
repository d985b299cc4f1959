package uabinary

import (
	"encoding/binary"
	"math"
	"time"
)

// OPC 10000-6 §5.2.2.5, in seconds since 1970.
const (
	minSecond = -11_644_473_600 // 1601-01-01T00:00:00Z
	maxSecond = 253_402_300_799 // 9999-12-31T23:59:59Z

	ticksPerSecond = 10_000_000 // of 100 ns
)

// UnixEpoch is 1970-01-01 as a DateTime.
const UnixEpoch = -minSecond * ticksPerSecond

// Ticks returns a time as a DateTime: ticks of 100 ns since 1601. Earlier times are 0,
// MinValue; times from 9999-12-31T23:59:59 on are math.MaxInt64, MaxValue.
func Ticks(t time.Time) int64 {
	second := t.Unix()
	switch {
	case second < minSecond:
		return 0
	case second >= maxSecond:
		return math.MaxInt64
	}
	return (second-minSecond)*ticksPerSecond + int64(t.Nanosecond())/100
}

// Time is the inverse of Ticks, in UTC. MinValue, and everything below, is the zero
// Time; MaxValue, and what lies behind 9999-12-31T23:59:59, is that second.
func Time(ticks int64) time.Time {
	if ticks <= 0 {
		return time.Time{}
	}
	second := ticks/ticksPerSecond + minSecond
	if second >= maxSecond {
		return time.Unix(maxSecond, 0).UTC()
	}
	return time.Unix(second, ticks%ticksPerSecond*100).UTC()
}

// AppendDateTime appends a time as a DateTime.
func AppendDateTime(b []byte, t time.Time) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(Ticks(t)))
}
