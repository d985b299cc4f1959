package wire

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// PairKey is the secret that both boards of a pair hold.
type PairKey [32]byte

// Session seals or opens the frames of one epoch. Not safe for concurrent use.
type Session struct {
	Epoch uint64
	Salt  [16]byte
	ID    uint16 // by which frames name pair key and session
	aead  cipher.AEAD
	nonce [chacha20poly1305.NonceSize]byte
}

// NewSession derives a session's keys.
func NewSession(key PairKey, epoch uint64, salt [16]byte) (*Session, error) {
	prk, err := hkdf.Extract(sha256.New, key[:], salt[:])
	if err != nil {
		return nil, fmt.Errorf("wire: deriving the session's keys: %v", err)
	}
	expand := func(info string, n int) []byte {
		info = string(binary.BigEndian.AppendUint64([]byte(info), epoch))
		out, e := hkdf.Expand(sha256.New, prk, info, n)
		if e != nil {
			err = e
		}
		return out
	}
	frameKey := expand("heliograph 1 frame key", chacha20poly1305.KeySize)
	id := expand("heliograph 1 session", 2)
	if err != nil {
		return nil, fmt.Errorf("wire: deriving the session's keys: %v", err)
	}
	aead, err := chacha20poly1305.New(frameKey)
	if err != nil {
		return nil, fmt.Errorf("wire: deriving the session's keys: %v", err)
	}
	return &Session{Epoch: epoch, Salt: salt, ID: binary.BigEndian.Uint16(id), aead: aead}, nil
}

// Seal encrypts frame[head:] in place, appends tag and CRC and returns the
// finished frame. It does not allocate if frame has room for them.
func (s *Session) Seal(frame []byte, head int, sequence uint64) []byte {
	binary.BigEndian.PutUint64(s.nonce[4:], sequence)
	sealed := s.aead.Seal(frame[:head], s.nonce[:], frame[head:], frame[:head])
	return AppendCRC(sealed)
}

// Open decrypts a frame in place and returns what follows the header. ok is false
// when the tag does not match; the frame's content is undefined then.
func (s *Session) Open(frame []byte, head int, sequence uint64) (plain []byte, ok bool) {
	binary.BigEndian.PutUint64(s.nonce[4:], sequence)
	sealed := frame[head : len(frame)-CRCSize]
	plain, err := s.aead.Open(sealed[:0], s.nonce[:], sealed, frame[:head])
	return plain, err == nil
}
