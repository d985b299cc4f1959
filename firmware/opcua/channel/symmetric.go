package channel

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// Offsets in a MSG or CLO chunk.
const (
	symmetricHeader = transport.HeaderSize + 8 // channel and token
	sequenceHeader  = 8
	symmetricBody   = symmetricHeader + sequenceHeader
)

// direction seals or opens the chunks of one token one way. It is used by one
// goroutine at a time and allocates nothing.
type direction struct {
	mode  ua.MessageSecurityMode
	mac   hash.Hash
	sum   [signatureSize]byte
	block cipher.BlockMode
	setIV func(iv []byte)
	iv    [aes.BlockSize]byte
}

// deriveKeys returns the keys of the sender whose nonce is seed (OPC 10000-6 §6.7.5).
func deriveKeys(p policy, secret, seed []byte) (sign, encrypt, iv []byte) {
	need := signingKey + p.encryptingKey + aes.BlockSize
	out := pSHA256(secret, seed, need)
	return out[:signingKey], out[signingKey : signingKey+p.encryptingKey], out[signingKey+p.encryptingKey : need]
}

// pSHA256 is P_SHA256 of RFC 5246 §5.
func pSHA256(secret, seed []byte, n int) []byte {
	mac := hmac.New(sha256.New, secret)
	sum := func(parts ...[]byte) []byte {
		mac.Reset()
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	out, a := make([]byte, 0, n+sha256.Size), sum(seed)
	for len(out) < n {
		out = append(out, sum(a, seed)...)
		a = sum(a)
	}
	return out[:n]
}

func newDirection(p policy, mode ua.MessageSecurityMode, secret, seed []byte, seal bool) (*direction, error) {
	d := &direction{mode: mode}
	if mode == ua.MessageSecurityModeNone {
		return d, nil
	}
	sign, encrypt, iv := deriveKeys(p, secret, seed)
	d.mac = hmac.New(sha256.New, sign)
	if mode != ua.MessageSecurityModeSignAndEncrypt {
		return d, nil
	}
	copy(d.iv[:], iv)
	block, err := aes.NewCipher(encrypt)
	if err != nil {
		return nil, err
	}
	if seal {
		d.block = cipher.NewCBCEncrypter(block, iv)
	} else {
		d.block = cipher.NewCBCDecrypter(block, iv)
	}
	v, ok := d.block.(interface{ SetIV(iv []byte) })
	if !ok {
		return nil, fmt.Errorf("opcua channel: %T cannot restart its chain", d.block)
	}
	d.setIV = v.SetIV
	return d, nil
}

// room is how many bytes of body fit in a chunk of the given size.
func (d *direction) room(chunk int) int {
	switch d.mode {
	case ua.MessageSecurityModeSign:
		return chunk - symmetricBody - signatureSize
	case ua.MessageSecurityModeSignAndEncrypt:
		blocks := (chunk - symmetricHeader) / aes.BlockSize * aes.BlockSize
		return blocks - sequenceHeader - 1 - signatureSize
	}
	return chunk - symmetricBody
}

// seal finishes a chunk that holds header, sequence header and body: it pads,
// writes the size, signs and encrypts in place. The capacity must be there.
func (d *direction) seal(b []byte) []byte {
	if d.mode == ua.MessageSecurityModeSignAndEncrypt {
		plain := len(b) - symmetricHeader + 1 + signatureSize
		pad := (aes.BlockSize - plain%aes.BlockSize) % aes.BlockSize
		for range pad + 1 {
			b = append(b, byte(pad))
		}
	}
	size := len(b)
	if d.mode != ua.MessageSecurityModeNone {
		size += signatureSize
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	if d.mode == ua.MessageSecurityModeNone {
		return b
	}
	b = append(b, d.signature(b)...)
	if d.mode == ua.MessageSecurityModeSignAndEncrypt {
		d.setIV(d.iv[:])
		d.block.CryptBlocks(b[symmetricHeader:], b[symmetricHeader:])
	}
	return b
}

func (d *direction) signature(b []byte) []byte {
	d.mac.Reset()
	d.mac.Write(b)
	return d.mac.Sum(d.sum[:0])
}

// open decrypts a chunk in place, checks its signature, and returns what follows
// the token: sequence header and body. The signature covers the padding, so the
// padding is read only after it has been verified.
func (d *direction) open(b []byte) ([]byte, error) {
	if d.mode == ua.MessageSecurityModeNone {
		if len(b) < symmetricBody {
			return nil, errSecurity()
		}
		return b[symmetricHeader:], nil
	}
	least := symmetricBody + signatureSize
	if d.mode == ua.MessageSecurityModeSignAndEncrypt {
		least++
		if len(b) < least || (len(b)-symmetricHeader)%aes.BlockSize != 0 {
			return nil, errSecurity()
		}
		d.setIV(d.iv[:])
		d.block.CryptBlocks(b[symmetricHeader:], b[symmetricHeader:])
	}
	if len(b) < least {
		return nil, errSecurity()
	}
	end := len(b) - signatureSize
	if subtle.ConstantTimeCompare(d.signature(b[:end]), b[end:]) != 1 {
		return nil, errSecurity()
	}
	if d.mode == ua.MessageSecurityModeSignAndEncrypt {
		end -= int(b[end-1]) + 1
		if end < symmetricBody {
			return nil, errSecurity()
		}
	}
	return b[symmetricHeader:end], nil
}
