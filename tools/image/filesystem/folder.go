package filesystem

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// What a folder says of an entry.
const (
	entryFree  = 0xE5
	entryOver  = 0x00
	entryKanji = 0x05 // stands for a first byte of 0xE5
	lastLong   = 0x40
	lowerBase  = 0x08 // Windows: a short name that is shown in lower case
	lowerTail  = 0x10
	longUnits  = 13
	maxUnits   = 20 * longUnits // of a name
)

// nodes reads a folder's bytes. The parts of a long name stand before the entry that they
// name, the last part first; parts that do not belong to it are left out, as are ".", ".."
// and the volume's label.
func nodes(b []byte) []node {
	var list []node
	var long longName
	le := binary.LittleEndian
	for at := 0; at+entrySize <= len(b) && b[at] != entryOver; at += entrySize {
		e := b[at : at+entrySize]
		switch {
		case e[0] == entryFree:
			long = longName{}
		case e[11]&attrLong == attrLong:
			long.add(e, at)
		case e[11]&attrLabel != 0 || e[0] == '.':
			long = longName{}
		default:
			n := node{name: shortName(e), start: at, end: at + entrySize, folder: e[11]&attrReadDir != 0,
				first: uint32(le.Uint16(e[20:]))<<16 | uint32(le.Uint16(e[26:])), size: int64(le.Uint32(e[28:]))}
			if name, ok := long.of(e); ok {
				n.name, n.start = name, long.start
			}
			if usable(n.name) {
				list = append(list, n)
			}
			long = longName{}
		}
	}
	return list
}

// usable refuses what would lead out of a folder.
func usable(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00")
}

// longName collects the parts of a long name.
type longName struct {
	units []uint16
	next  byte // part that is due; 0: none
	sum   byte
	start int
}

func (l *longName) add(e []byte, at int) {
	number := e[0] &^ lastLong
	switch {
	case e[0]&lastLong != 0 && number > 0 && int(number)*longUnits <= maxUnits:
		*l = longName{next: number, sum: e[13], start: at}
	case l.next == 0 || number != l.next || e[13] != l.sum:
		*l = longName{}
		return
	}
	if l.next == 0 {
		return
	}
	var part []uint16
	for i := range longUnits {
		part = append(part, binary.LittleEndian.Uint16(e[longOffset(i):]))
	}
	l.units = append(part, l.units...)
	if l.next--; l.next == 0 && len(l.units) > 0 {
		for i, u := range l.units {
			if u == 0 {
				l.units = l.units[:i]
				break
			}
		}
	}
}

// of returns the name when all parts of it are there and belong to the entry.
func (l *longName) of(e []byte) (string, bool) {
	if len(l.units) == 0 || l.next != 0 || l.sum != checksum(string(e[:11])) {
		return "", false
	}
	return string(utf16.Decode(l.units)), true
}

func shortName(e []byte) string {
	base, tail := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if e[0] == entryKanji {
		base = string(rune(entryFree)) + base[1:]
	}
	if e[12]&lowerBase != 0 {
		base = strings.ToLower(base)
	}
	if e[12]&lowerTail != 0 {
		tail = strings.ToLower(tail)
	}
	if tail != "" {
		base += "." + tail
	}
	return base
}

// checksum binds a long name to its short one.
func checksum(short string) byte {
	sum := byte(0)
	for i := range 11 {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	return sum
}
