package channel

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

const (
	maxPolicyURI    = 255 // OPC 10000-6 §6.7.2.3
	thumbprintSize  = 20
	extraPaddingKey = 256 // bytes; larger keys have a second byte of padding size
)

// openHeader is the asymmetric security header of an OPN chunk. Its slices point
// into the chunk.
type openHeader struct {
	channel     uint32
	policy      string
	certificate []byte
	thumbprint  []byte
	size        int // of the clear part, where the secured part starts
}

func parseOpenHeader(chunk []byte) (openHeader, error) {
	r := reader{b: chunk}
	r.skip(transport.HeaderSize)
	h := openHeader{channel: r.uint32()}
	uri := r.bytes()
	h.certificate, h.thumbprint = r.bytes(), r.bytes()
	if r.bad || len(uri) > maxPolicyURI || len(h.certificate) > maxChainBytes {
		return openHeader{}, fail(ua.StatusBadTCPInternalError, "security header is cut off or too long")
	}
	if n := len(h.thumbprint); n != 0 && n != thumbprintSize {
		return openHeader{}, fail(ua.StatusBadCertificateInvalid, "thumbprint is not 20 bytes")
	}
	h.policy, h.size = string(uri), len(chunk)-len(r.b)
	return h, nil
}

func (h openHeader) append(b []byte) []byte {
	b = transport.Header{Type: transport.OpenChannel, Chunk: transport.Final}.Append(b)
	b = binary.LittleEndian.AppendUint32(b, h.channel)
	b = appendBytes(b, []byte(h.policy))
	b = appendBytes(b, h.certificate)
	return appendBytes(b, h.thumbprint)
}

// secured is the inside of an OPN chunk.
type secured struct {
	sequence, request uint32
	body              []byte
}

// sealOpen builds an OPN chunk. Policies other than None always sign and encrypt
// it, in any mode.
func (a *asymmetric) sealOpen(h openHeader, s secured) ([]byte, error) {
	b := h.append(nil)
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, s.sequence)
	b = binary.LittleEndian.AppendUint32(b, s.request)
	b = append(b, s.body...)
	if a.none() {
		binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
		return b, nil
	}
	cipherBlock := a.remote.Size()
	plainBlock := cipherBlock - a.overhead()
	extra := 0
	if cipherBlock > extraPaddingKey {
		extra = 1
	}
	plain := len(b) - start + 1 + extra + a.local.Size()
	pad := (plainBlock - plain%plainBlock) % plainBlock
	for range pad + 1 {
		b = append(b, byte(pad))
	}
	if extra == 1 {
		b = append(b, byte(pad>>8))
	}
	blocks := (plain + pad) / plainBlock
	binary.LittleEndian.PutUint32(b[4:], uint32(start+blocks*cipherBlock))
	signature, err := a.sign.Signature(b)
	if err != nil {
		return nil, err
	}
	return encryptOAEP(a.policy, a.remote, b[:start:start], append(b, signature...)[start:])
}

// openOpen decrypts and checks an OPN chunk. All failures are one.
func (a *asymmetric) openOpen(chunk []byte, h openHeader) (secured, error) {
	if a.none() {
		return parseSecured(chunk[h.size:])
	}
	plain, ok := decryptOAEP(a.policy, a.local, chunk[h.size:])
	n := a.remote.Size()
	if len(plain) < n {
		return secured{}, errSecurity()
	}
	signed := append(append(make([]byte, 0, h.size+len(plain)), chunk[:h.size]...), plain[:len(plain)-n]...)
	verified := a.sign.VerifySignature(signed, plain[len(plain)-n:]) == nil
	if !ok || !verified {
		return secured{}, errSecurity()
	}
	inside := signed[h.size:]
	pad := 0
	if a.local.Size() > extraPaddingKey && len(inside) > 0 {
		pad = int(inside[len(inside)-1]) << 8
		inside = inside[:len(inside)-1]
	}
	if len(inside) == 0 {
		return secured{}, errSecurity()
	}
	pad |= int(inside[len(inside)-1])
	if pad+1 > len(inside)-sequenceHeader {
		return secured{}, errSecurity()
	}
	return parseSecured(inside[:len(inside)-pad-1])
}

func parseSecured(b []byte) (secured, error) {
	if len(b) < sequenceHeader {
		return secured{}, errSecurity()
	}
	return secured{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), b[sequenceHeader:]}, nil
}

// sameBytes compares in constant time.
func sameBytes(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 0xff, 0xff, 0xff, 0xff)
	}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
}
