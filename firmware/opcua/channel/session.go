package channel

import (
	"bytes"
	"crypto/rsa"
	"encoding/binary"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
)

// Our own choice.
const maxPassword = 1024

// URIs of OPC 10000-7 for the encryption of user tokens.
const (
	uriRSAOAEP       = "http://www.w3.org/2001/04/xmlenc#rsa-oaep"
	uriRSAOAEPSHA256 = "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256"
)

func publicKeyOf(chain []byte) (*rsa.PublicKey, error) {
	certs, err := ParseChain(chain)
	if err != nil {
		return nil, err
	}
	return publicKey(certs[0])
}

// Sign makes the signature of CreateSession, ActivateSession or an X.509 user token
// (OPC 10000-4 §5.7): over the peer's certificate and the nonce it gave. Only the
// leaf certificate is signed, without the issuers that the peer sent after it.
func Sign(policyURI string, key *rsa.PrivateKey, peerCertificate, peerNonce []byte) (*ua.SignatureData, error) {
	p, ok := policyOf(policyURI)
	if !ok {
		return nil, fail(ua.StatusBadSecurityPolicyRejected, "policy cannot sign")
	}
	if p.none() {
		return &ua.SignatureData{}, nil
	}
	if key == nil {
		return nil, fail(ua.StatusBadConfigurationError, "there is no private key to sign with")
	}
	alg, err := uapolicy.Asymmetric(policyURI, key, nil)
	if err != nil {
		return nil, fail(ua.StatusBadConfigurationError, err.Error())
	}
	sum, err := alg.Signature(append(bytes.Clone(LeafCertificate(peerCertificate)), peerNonce...))
	if err != nil {
		return nil, err
	}
	return &ua.SignatureData{Algorithm: alg.SignatureURI(), Signature: sum}, nil
}

// Verify checks such a signature: the peer's certificate signed our certificate
// and the nonce we gave it. Peers older than the rule that only the leaf is signed sign the
// chain as we sent it, so that is tried too. With policy None nothing is verified, and the
// result proves nothing.
func Verify(
	policyURI string, peerCertificate, ownCertificate, ownNonce []byte, s *ua.SignatureData, refusal ua.StatusCode,
) error {
	p, ok := policyOf(policyURI)
	if !ok {
		return fail(ua.StatusBadSecurityPolicyRejected, "policy cannot sign")
	}
	if p.none() {
		return nil
	}
	key, err := publicKeyOf(peerCertificate)
	if err != nil {
		return err
	}
	alg, err := uapolicy.Asymmetric(policyURI, nil, key)
	if err != nil {
		return fail(ua.StatusBadCertificatePolicyCheckFailed, err.Error())
	}
	if s == nil || s.Algorithm != alg.SignatureURI() || len(s.Signature) != key.Size() || len(ownNonce) < nonceSize {
		return fail(refusal, "")
	}
	leaf := LeafCertificate(ownCertificate)
	if alg.VerifySignature(append(bytes.Clone(leaf), ownNonce...), s.Signature) == nil {
		return nil
	}
	if len(leaf) != len(ownCertificate) &&
		alg.VerifySignature(append(bytes.Clone(ownCertificate), ownNonce...), s.Signature) == nil {
		return nil
	}
	return fail(refusal, "")
}

// EncryptPassword encrypts a password (or an issued token) for ActivateSession in
// the form of OPC 10000-4 §7.40.2.2: length, secret, server nonce. With policy None
// it is not encrypted, which the caller must have allowed.
func EncryptPassword(
	policyURI string, serverCertificate, serverNonce, password []byte,
) (algorithm string, secret []byte, err error) {
	p, ok := policyOf(policyURI)
	if !ok {
		return "", nil, fail(ua.StatusBadSecurityPolicyRejected, "policy cannot encrypt")
	}
	if p.none() {
		return "", bytes.Clone(password), nil
	}
	if len(password) > maxPassword {
		return "", nil, fail(ua.StatusBadIdentityTokenInvalid, "password is longer than 1024 bytes")
	}
	key, err := publicKeyOf(serverCertificate)
	if err != nil {
		return "", nil, err
	}
	plain := binary.LittleEndian.AppendUint32(nil, uint32(len(password)+len(serverNonce)))
	plain = append(append(plain, password...), serverNonce...)
	secret, err = encryptOAEP(p, key, nil, plain)
	return p.encryptionURI(), secret, err
}

func (p policy) encryptionURI() string {
	if p.uri == ua.SecurityPolicyURIAes256Sha256RsaPss {
		return uriRSAOAEPSHA256
	}
	return uriRSAOAEP
}

// DecryptPassword reverses EncryptPassword. All failures, including the wrong nonce of a
// replayed token, return the same Bad_IdentityTokenInvalid. policyURI is that of the user
// token policy or, if it has none, of the channel.
func DecryptPassword(
	policyURI string, key *rsa.PrivateKey, serverNonce []byte, algorithm string, secret []byte,
) ([]byte, error) {
	refused := fail(ua.StatusBadIdentityTokenInvalid, "")
	p, ok := policyOf(policyURI)
	switch {
	case !ok:
		return nil, refused
	case p.none():
		if algorithm != "" || len(secret) > maxPassword {
			return nil, refused
		}
		return bytes.Clone(secret), nil
	case key == nil || algorithm != p.encryptionURI() || len(serverNonce) < nonceSize || len(secret) > 16*key.Size():
		return nil, refused
	}
	plain, ok := decryptOAEP(p, key, secret)
	if len(plain) < 4+len(serverNonce) {
		return nil, refused
	}
	// Clients may pad after what the length counts.
	n := int64(binary.LittleEndian.Uint32(plain))
	if n < int64(len(serverNonce)) || n > int64(len(plain)-4) || n-int64(len(serverNonce)) > maxPassword {
		return nil, refused
	}
	inside := plain[4 : 4+n]
	end := len(inside) - len(serverNonce)
	if same := sameBytes(inside[end:], serverNonce); !same || !ok {
		return nil, refused
	}
	return inside[:end], nil
}
