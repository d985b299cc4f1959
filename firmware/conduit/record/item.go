package record

import (
	"encoding/binary"
	"io"
)

// Item is one record, or a piece of one, within a frame's payload.
type Item struct {
	Kind        Kind
	First, Last bool
	Body        []byte
}

const (
	itemFirst = 2
	itemLast  = 1
)

// ItemOverhead is what an item of n body bytes costs beyond them.
func ItemOverhead(n int) int { return 1 + uvarintLen(uint64(n)) }

// AppendItem appends one item to a frame's payload.
func AppendItem(dst []byte, it Item) []byte {
	head := byte(it.Kind) << 3
	if it.First {
		head |= itemFirst
	}
	if it.Last {
		head |= itemLast
	}
	dst = append(dst, head)
	dst = binary.AppendUvarint(dst, uint64(len(it.Body)))
	return append(dst, it.Body...)
}

// NextItem returns the first item of a frame's payload, or io.EOF at its end
// (nothing left, or padding). The item's body is part of payload. Its kind may be one
// that only later versions know.
func NextItem(payload []byte) (it Item, rest []byte, err error) {
	if len(payload) == 0 {
		return Item{}, nil, io.EOF
	}
	head := payload[0]
	if head == 0 {
		for _, b := range payload {
			if b != 0 {
				return Item{}, nil, ErrMalformed
			}
		}
		return Item{}, nil, io.EOF
	}
	c := cursor{rest: payload[1:]}
	it.Body = c.bytes(uint64(len(payload)))
	it.Kind = Kind(head >> 3)
	it.First = head&itemFirst != 0
	it.Last = head&itemLast != 0
	if c.bad || it.Kind == KindPadding || head&4 != 0 {
		return Item{}, nil, ErrMalformed
	}
	return it, c.rest, nil
}
