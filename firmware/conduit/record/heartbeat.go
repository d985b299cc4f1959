package record

import "encoding/binary"

// Heartbeat is sent each second, also on a saturated line.
type Heartbeat struct {
	UTC      int64  // the transmitter's clock, ns since 1970
	ClockSet bool   // false: UTC counts from an unset clock and is not the time of day
	Uptime   uint64 // of the transmitter, ms, monotonic
}

// Append appends the encoded heartbeat to dst.
func (h *Heartbeat) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.UTC))
	dst = append(dst, flag(h.ClockSet, 1))
	return binary.AppendUvarint(dst, h.Uptime)
}

// Parse decodes body.
func (h *Heartbeat) Parse(body []byte) error {
	c := cursor{rest: body}
	*h = Heartbeat{UTC: int64(c.uint64())}
	f := c.byte()
	h.ClockSet = f == 1
	h.Uptime = c.uvarint()
	if c.bad || f > 1 || len(c.rest) != 0 {
		return ErrMalformed
	}
	return nil
}
