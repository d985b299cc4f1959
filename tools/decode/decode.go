// Package decode makes captured frames readable: what stands in their headers,
// whether CRC and tag hold, and, with the pair key, the records inside.
//
// It reads captures of the pcap and pcapng formats with frames in UDP or behind
// the link's own ethertype, and the raw bytes of a UART. The formats are those
// of packages wire, record, codeword and drivers/ethernet.
//
// It refuses to repair: a lost frame is not restored from parity, and a record
// in pieces is shown in pieces, the last piece of a replay page as the whole page.
// It trusts no length in a file: what it keeps in memory does not grow with the file.
package decode

import (
	"encoding/binary"
	"fmt"
	"time"

	"heliograph/firmware/conduit/wire"
)

// What CRC and Tag of a Frame say.
const (
	OK      = "ok"
	Bad     = "bad"
	Untried = "untried"  // the tag of a frame whose CRC is bad
	NoHello = "no-hello" // the tag of a session whose hello is not in the capture so far
)

// Frame is one frame of a capture.
type Frame struct {
	Time       time.Time `json:"time,omitzero"`
	Offset     int64     `json:"offset,omitempty"` // where the frame ended, in the bytes of a UART
	Kind       string    `json:"kind"`             // hello, source, parity or noise
	Session    string    `json:"session,omitempty"`
	Sequence   uint64    `json:"sequence,omitempty"` // low 32 bits, unless the tag is ok or it is a hello
	Class      string    `json:"class,omitempty"`
	Generation *uint16   `json:"generation,omitempty"`
	Index      *uint16   `json:"index,omitempty"` // of a source
	Row        *int      `json:"row,omitempty"`   // of parity
	Lane       *int      `json:"lane,omitempty"`
	Lanes      int       `json:"lanes,omitempty"`
	Size       int       `json:"size"`
	CRC        string    `json:"crc"`
	Tag        string    `json:"tag,omitempty"` // nothing without a key
	Epoch      *uint64   `json:"epoch,omitempty"`
	Sources    *int      `json:"sources,omitempty"` // that parity says its generation has
	Records    []Record  `json:"records,omitempty"`
}

// maxSessions are remembered: so many runs of a transmitter can be mixed.
const maxSessions = 16

// Decoder reads frames in the order of their capture. Not safe for concurrent
// use.
type Decoder struct {
	key      *wire.PairKey
	sessions []*session // the oldest first
	replayed replayed
	scratch  []byte
}

// session is one that an authentic hello has opened.
type session struct {
	*wire.Session
	highest uint64 // authentic sequence number
}

// New returns a Decoder; without a key it does not look below the headers.
func New(key *wire.PairKey) *Decoder { return &Decoder{key: key} }

// Frame decodes one frame, which stays as it is.
func (d *Decoder) Frame(raw []byte) Frame {
	f := Frame{Size: len(raw), CRC: Bad}
	if wire.CheckCRC(raw) {
		f.CRC = OK
	}
	kind, err := wire.KindOf(raw)
	if err != nil {
		f.Kind = "noise"
		return f
	}
	d.scratch = append(d.scratch[:0], raw...)
	if kind == wire.Hello {
		d.hello(&f, d.scratch)
	} else {
		d.data(&f, d.scratch)
	}
	return f
}

func (d *Decoder) hello(f *Frame, frame []byte) {
	var h wire.HelloHeader
	h.Parse(frame)
	f.Kind, f.Session, f.Sequence, f.Epoch = "hello", name(h.Session), h.Sequence, new(h.Epoch)
	if !d.authenticates(f) {
		return
	}
	s := d.find(h.Session)
	known := s != nil && s.Epoch == h.Epoch && s.Salt == h.Salt
	if !known {
		derived, err := wire.NewSession(*d.key, h.Epoch, h.Salt)
		if err != nil || derived.ID != h.Session {
			f.Tag = Bad
			return
		}
		s = &session{Session: derived}
	}
	if _, ok := s.Open(frame, wire.HelloHeaderSize, h.Sequence); !ok {
		f.Tag = Bad
		return
	}
	f.Tag = OK
	d.replayed.frame(h.Session, h.Sequence)
	s.highest = max(s.highest, h.Sequence)
	if !known {
		d.remember(s)
	}
}

func (d *Decoder) data(f *Frame, frame []byte) {
	var h wire.Header
	h.Parse(frame)
	f.Session, f.Sequence, f.Class, f.Generation = name(h.Session), uint64(h.Sequence), h.Class.String(),
		new(h.Generation)
	if h.Kind == wire.Source {
		f.Kind, f.Index = "source", new(h.Index)
	} else {
		f.Kind, f.Lanes = "parity", h.Lanes
		f.Row, f.Lane = new(int(h.Index)/h.Lanes), new(int(h.Index)%h.Lanes)
	}
	if !d.authenticates(f) {
		return
	}
	s := d.find(h.Session)
	if s == nil {
		f.Tag = NoHello
		return
	}
	// The number nearest to the highest whose low bits are these.
	sequence := s.highest + uint64(int64(int32(h.Sequence-uint32(s.highest))))
	plain, ok := s.Open(frame, wire.HeaderSize, sequence)
	if !ok {
		f.Tag = Bad
		return
	}
	s.highest = max(s.highest, sequence)
	f.Tag, f.Sequence, f.Epoch = OK, sequence, new(s.Epoch)
	d.replayed.frame(h.Session, sequence)
	if h.Kind == wire.Source {
		each := item
		if h.Class == wire.Replay {
			each = d.replayed.item
		}
		f.Records = records(plain, each)
	} else {
		f.Sources = new(int(binary.BigEndian.Uint16(plain)))
	}
}

// authenticates reports whether the tag can be looked at.
func (d *Decoder) authenticates(f *Frame) bool {
	if d.key != nil && f.CRC != OK {
		f.Tag = Untried
	}
	return d.key != nil && f.CRC == OK
}

func (d *Decoder) find(id uint16) *session {
	for _, s := range d.sessions {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// remember takes the place of a session that has the same name, or of the oldest.
func (d *Decoder) remember(s *session) {
	for i, old := range d.sessions {
		if old.ID == s.ID {
			d.sessions[i] = s
			return
		}
	}
	if len(d.sessions) == maxSessions {
		d.sessions = append(d.sessions[:0], d.sessions[1:]...)
	}
	d.sessions = append(d.sessions, s)
}

func name(session uint16) string { return fmt.Sprintf("%04x", session) }
