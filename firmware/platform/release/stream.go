package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"aead.dev/minisign"
)

const (
	streamMagic  = "HGUPDAT1"
	streamHeader = 16
	maxSignature = 1024
	chunk        = 256 << 10 // bytes that are read or written at a time
)

// Seal signs a manifest and writes an update file. contents are the manifest's
// files in their order, then the root filesystem.
func Seal(w io.Writer, m Manifest, key minisign.PrivateKey, contents ...[]byte) error {
	text, err := m.Encode()
	if err != nil {
		return err
	}
	// The reader makes the signature one over the hash: Sign would as well,
	// but stamps it with the time of day.
	hashed := minisign.NewReader(bytes.NewReader(text))
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		return err
	}
	signature := hashed.SignWithComments(key, fmt.Sprintf("%s for %s, version %d", m.Role, m.Board, m.Version),
		"heliograph update")
	b := []byte(streamMagic)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(signature)))
	for _, part := range append([][]byte{b, text, signature}, contents...) {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	return nil
}

// Read reads the beginning of an update file and checks its signature before it
// reads anything else. The parts follow in r: see Each. It also returns the
// manifest as it was signed.
func Read(r io.Reader, key minisign.PublicKey) (Manifest, []byte, error) {
	var head [streamHeader]byte
	_, err := io.ReadFull(r, head[:])
	if err != nil && !ended(err) {
		return Manifest{}, nil, fmt.Errorf("release: reading the file: %w", err)
	}
	if err != nil || string(head[:len(streamMagic)]) != streamMagic {
		return Manifest{}, nil, errors.New("release: not an update file; make one with \"heliograph update make\"")
	}
	size, signed := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if size > maxManifest || signed > maxSignature {
		return Manifest{}, nil, fmt.Errorf("release: a manifest of %d bytes with a signature of %d", size, signed)
	}
	b := make([]byte, size+signed)
	if _, err := io.ReadFull(r, b); ended(err) {
		return Manifest{}, nil, errors.New("release: the file ends in its manifest: copy it again")
	} else if err != nil {
		return Manifest{}, nil, fmt.Errorf("release: reading the file: %w", err)
	}
	text, signature := b[:size], b[size:]
	if !genuine(key, text, signature) {
		var s minisign.Signature
		if err := s.UnmarshalText(signature); err == nil && s.KeyID != key.ID() {
			return Manifest{}, nil, KeyError{Signed: s.KeyID, Wanted: key.ID()}
		}
		err := errors.New("release: the file's signature does not fit what it signs: copy the file again")
		return Manifest{}, nil, err
	}
	m, err := DecodeManifest(text)
	return m, text, err
}

// IsUpdate says whether a file begins as an update file does.
func IsUpdate(r io.ReaderAt) bool {
	head := make([]byte, len(streamMagic))
	n, _ := r.ReadAt(head, 0)
	return string(head[:n]) == streamMagic
}

// KeyError says that a file is signed with another key than it must be. The IDs are what
// file and key say of themselves, which is not proved.
type KeyError struct{ Signed, Wanted uint64 }

func (e KeyError) Error() string {
	return fmt.Sprintf("release: the file is signed with key %016X, and updates of this card must be with %016X; "+
		"nothing was changed", e.Signed, e.Wanted)
}

// ErrContent is what Each returns for parts that are not those of the manifest.
var ErrContent = errors.New("release")

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// genuine takes signatures over the hash alone: minisign's older kind signs the
// bytes themselves, and one key should not do both.
func genuine(key minisign.PublicKey, text, signature []byte) bool {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil || s.Algorithm != minisign.HashEdDSA {
		return false
	}
	return minisign.Verify(key, text, signature)
}

// Each walks the parts that follow a manifest and compares what they hold. It
// gives their bytes to take as they come, and fails on a byte too many.
func (m Manifest) Each(r io.Reader, take func(part int, at int64, b []byte) error) error {
	buffer := make([]byte, chunk)
	for i, p := range m.parts() {
		h := sha256.New()
		for at := int64(0); at < p.Size; {
			b := buffer[:min(int64(len(buffer)), p.Size-at)]
			if _, err := io.ReadFull(r, b); ended(err) {
				return fmt.Errorf("%w: the file ends in %s: copy it again", ErrContent, p.Name)
			} else if err != nil {
				return fmt.Errorf("release: reading the file: %w", err)
			}
			h.Write(b)
			if err := take(i, at, b); err != nil {
				return err
			}
			at += int64(len(b))
		}
		if Digest(h.Sum(nil)) != p.Sum {
			return fmt.Errorf("%w: %s is not what was signed: copy the file again", ErrContent, p.Name)
		}
	}
	if n, err := r.Read(buffer[:1]); n != 0 || err != io.EOF {
		return fmt.Errorf("%w: something follows the last part: copy the file again", ErrContent)
	}
	return nil
}
