package history

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"heliograph/firmware/opcua/uabinary"
)

// A time is counted in ticks of 100 ns since 1601-01-01 (OPC 10000-6, 5.2.2.5).
const (
	tick        = 100 // ns
	perSecond   = 10_000_000
	millisecond = 10_000
	endOfTime   = 2650467743990000000 // 9999-12-31T23:59:59, the last one of OPC UA
	longStep    = 1 << 58             // the step after one that is as long is written whole
)

// ticksOf returns a time as ticks, from 0 to endOfTime.
func ticksOf(t time.Time) int64 { return min(uabinary.Ticks(t), endOfTime) }

// timeOf returns ticks as a time; unlike DateTime's, 0 is 1601-01-01.
func timeOf(ticks int64) time.Time {
	ticks -= uabinary.UnixEpoch
	return time.Unix(ticks/perSecond, ticks%perSecond*tick).UTC()
}

// The shape of an entry's value.
const (
	maxPrefix = 14
	maxSuffix = 15
	whole     = 0xf0 // the length follows, and all bytes
)

// coder is what the next entry is a difference to. The zero value begins a run.
type coder struct {
	count int
	ticks int64
	step  int64
	value []byte
}

// append appends an entry to dst.
func (c *coder) append(dst []byte, ticks int64, value []byte) []byte {
	step := ticks - c.ticks
	if diff := step - c.step; diff%millisecond == 0 {
		dst = binary.AppendUvarint(dst, zigzag(diff/millisecond)<<1|1)
	} else {
		dst = binary.AppendUvarint(dst, zigzag(diff)<<1)
	}
	c.time(ticks, step)
	if c.count > 1 && len(value) == len(c.value) {
		prefix, suffix := shape(c.value, value)
		dst = append(dst, byte(prefix<<4|suffix))
		dst = append(dst, value[prefix:len(value)-suffix]...)
	} else {
		dst = append(dst, whole)
		dst = binary.AppendUvarint(dst, uint64(len(value)))
		dst = append(dst, value...)
	}
	c.value = append(c.value[:0], value...)
	return dst
}

// time makes an entry's time the last one.
func (c *coder) time(ticks, step int64) {
	if c.count == 0 || step >= longStep || step <= -longStep {
		step = 0
	}
	c.count++
	c.ticks, c.step = ticks, step
}

// shape returns how many bytes at both ends two values of the same length share.
func shape(a, b []byte) (prefix, suffix int) {
	for prefix < min(len(a), maxPrefix) && a[prefix] == b[prefix] {
		prefix++
	}
	for suffix < min(len(a)-prefix, maxSuffix) && a[len(a)-1-suffix] == b[len(b)-1-suffix] {
		suffix++
	}
	return prefix, suffix
}

// next reads the entry that b begins with: its time is then c.ticks and its value c.value,
// until the next call. It returns what follows, and false when b does not begin with one.
func (c *coder) next(b []byte) (rest []byte, ok bool) {
	code, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, false
	}
	b = b[n:]
	diff := unzigzag(code >> 1)
	if code&1 != 0 {
		if diff > math.MaxInt64/2/millisecond || diff < math.MinInt64/2/millisecond {
			return nil, false
		}
		diff *= millisecond
	}
	step := c.step + diff // |diff| ≤ 2^62 and |c.step| < 2^58: neither sum overflows
	ticks := c.ticks + step
	if ticks < 0 || ticks > endOfTime || len(b) == 0 {
		return nil, false
	}
	head := b[0]
	b = b[1:]
	prefix, suffix, length := int(head>>4), int(head&15), uint64(len(c.value))
	if head >= whole {
		prefix, suffix = 0, 0
		if length, n = binary.Uvarint(b); n <= 0 || head != whole || length > maxValue {
			return nil, false
		}
		b = b[n:]
	} else if c.count == 0 || uint64(prefix+suffix) > length {
		return nil, false
	}
	middle := int(length) - prefix - suffix
	if len(b) < middle {
		return nil, false
	}
	if head == whole {
		c.value = append(c.value[:0], b[:middle]...)
	} else {
		copy(c.value[prefix:], b[:middle])
	}
	c.time(ticks, step)
	return b[middle:], true
}

// repeats reports whether a change is the last one once more.
func (c *coder) repeats(ticks int64, value []byte) bool {
	return c.count > 0 && ticks == c.ticks && bytes.Equal(value, c.value)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
