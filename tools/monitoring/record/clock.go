package main

import (
	"encoding/binary"
	"net"
	"time"
)

// serveTime answers as an NTP server (RFC 5905) of this machine's clock until the
// socket is closed: without one the transmitter does not know that the clock is right.
func serveTime(c net.PacketConn) {
	const sinceNTP = 2_208_988_800 // seconds from 1900 to 1970
	at := func(to []byte, t time.Time) {
		binary.BigEndian.PutUint32(to, uint32(t.Unix()+sinceNTP))
		binary.BigEndian.PutUint32(to[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
	}
	query := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(query)
		if err != nil {
			return
		}
		if n < 48 {
			continue
		}
		now, answer := time.Now(), make([]byte, 48)
		answer[0], answer[1], answer[3] = 4<<3|4, 1, 0xEC // version 4, server; stratum 1; precision 2⁻²⁰ s
		copy(answer[12:], "LOCL")
		at(answer[16:], now)
		copy(answer[24:32], query[40:48])
		at(answer[32:], now)
		at(answer[40:], time.Now())
		_, _ = c.WriteTo(answer, from) // it asks again
	}
}
