package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/gopcua/opcua/ua"
)

// Our own choices.
const (
	maxDepth  = 6        // certificates in a chain
	maxSteps  = 64       // signatures checked for one chain: each costs
	maxCABits = 8 * 1024 // larger keys are a denial of service
)

// builder finds the chain from a certificate to a self-signed one. Of several possible
// chains it takes one with a trusted certificate in it.
type builder struct {
	trusted, pool []*x509.Certificate
	steps         int
}

func (b *builder) build(leaf *x509.Certificate) ([]*x509.Certificate, *step) {
	var complete, trusted []*x509.Certificate
	badSignature := false
	var walk func(chain []*x509.Certificate)
	walk = func(chain []*x509.Certificate) {
		c := chain[len(chain)-1]
		if trusted != nil || b.steps >= maxSteps || len(chain) > maxDepth {
			return
		}
		if bytes.Equal(c.RawIssuer, c.RawSubject) {
			b.steps++
			if c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
				badSignature = true
				return
			}
			if complete == nil {
				complete = slices.Clone(chain)
			}
			if slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return contains(b.trusted, c) }) {
				trusted = slices.Clone(chain)
			}
			return
		}
		for _, issuer := range b.pool {
			if !bytes.Equal(issuer.RawSubject, c.RawIssuer) || contains(chain, issuer) || b.steps >= maxSteps {
				continue
			}
			b.steps++
			if checkKeyOfCA(issuer) != nil ||
				issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
				badSignature = true
				continue
			}
			walk(append(chain[:len(chain):len(chain)], issuer))
		}
	}
	walk([]*x509.Certificate{leaf})
	switch {
	case trusted != nil:
		return trusted, nil
	case complete != nil:
		return complete, nil
	case badSignature:
		return nil, &step{ua.StatusBadCertificateInvalid, "a signature in its chain is invalid"}
	}
	return nil, &step{ua.StatusBadCertificateChainIncomplete,
		fmt.Sprintf("its issuer %s is missing: put the CA's certificate into %s, or into %s to trust all that it signs",
			printable(leaf.Issuer.String(), 100), issuerCerts, trustedCerts)}
}

func checkKeyOfCA(c *x509.Certificate) *step {
	if _, ok := c.PublicKey.(*rsa.PublicKey); !ok {
		return nil // an elliptic curve CA: its size is fixed by its curve
	}
	return checkKey(c, maxCABits)
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(list, c.Equal)
}
