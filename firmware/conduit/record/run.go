package record

import "encoding/binary"

// Run is what the next entry of a page or a batch is written as a difference
// to. It begins with a sequence number to count from and no time.
type Run struct {
	Created uint64
	Time    int64 // of the last entry that had one
}

// The codes of an entry's head.
const (
	shortLength = 15 // in the low bits: the length, or that it follows
	timeShift   = 4
	timeNone    = 0 << timeShift
	timeSame    = 1 << timeShift
	timeStep    = 2 << timeShift
	timeFull    = 3 << timeShift
	createdStep = 1 << 6
	coarse      = 1 << 7 // with timeStep: it counts milliseconds, which many sources do
	timeMask    = 3<<timeShift | coarse

	tick        = 100    // ns, in which OPC UA counts (Part 6, 5.2.2.5)
	millisecond = 10_000 // ticks
	longSteps   = 8      // bytes; a step of so many is not shorter than the time
)

// head returns an entry's first byte. step says whether Created is not the next
// number, so that a step follows.
func (r *Run) head(payload int, time int64, step bool) byte {
	code, _ := r.timeCode(time)
	return byte(min(payload, shortLength)) | code | flag(step, createdStep)
}

// timeCode returns how a time is written, and the difference if it is written so.
func (r *Run) timeCode(time int64) (code byte, zigzag uint64) {
	switch {
	case time == 0:
		return timeNone, 0
	case r.Time == 0:
		return timeFull, 0
	case time == r.Time:
		return timeSame, 0
	case time%tick != 0 || r.Time%tick != 0:
		return timeFull, 0
	}
	code, ticks := timeStep, time/tick-r.Time/tick
	if ticks%millisecond == 0 {
		code, ticks = timeStep|coarse, ticks/millisecond
	}
	if zigzag = zigzagOf(ticks); uvarintLen(zigzag) >= longSteps {
		return timeFull, 0
	}
	return code, zigzag
}

// appendTail appends an entry's time and payload, and makes it the last.
func (r *Run) appendTail(dst []byte, time int64, payload []byte) []byte {
	switch code, zigzag := r.timeCode(time); code {
	case timeStep, timeStep | coarse:
		dst = binary.AppendUvarint(dst, zigzag)
	case timeFull:
		dst = binary.BigEndian.AppendUint64(dst, uint64(time))
	}
	if time != 0 {
		r.Time = time
	}
	if len(payload) >= shortLength {
		dst = binary.AppendUvarint(dst, uint64(len(payload)-shortLength))
	}
	return append(dst, payload...)
}

// tail reads what appendTail wrote, and refuses what appendTail would have written
// in another form.
func (r *Run) tail(c *cursor, head byte) (time int64, payload []byte) {
	code := head & timeMask
	var zigzag uint64
	switch code {
	case timeSame:
		time = r.Time
	case timeStep:
		zigzag = c.uvarint()
		time = (r.Time/tick + unzigzag(zigzag)) * tick
	case timeStep | coarse:
		zigzag = c.uvarint()
		time = (r.Time/tick + unzigzag(zigzag)*millisecond) * tick
	case timeFull:
		time = int64(c.uint64())
	}
	if again, steps := r.timeCode(time); again != code || steps != zigzag {
		c.bad = true
	}
	if time != 0 {
		r.Time = time
	}
	n := uint64(head & shortLength)
	if n == shortLength {
		n = c.sum(n, c.uvarint())
	}
	if n > MaxRecord {
		c.bad = true
	}
	return time, c.next(n)
}

func zigzagOf(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
