package client

import (
	"fmt"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// userToken makes the user's identity token, with the policy that this endpoint names for
// its kind, and the signature that goes with a certificate.
func (c Config) userToken(e *ua.EndpointDescription, nonce []byte) (any, *ua.SignatureData, error) {
	p, policy := c.tokenPolicy(e)
	if p == nil {
		return nil, nil, identityError("the endpoint takes no " +
			[...]string{"anonymous user", "user name", "user certificate"}[c.User.tokenType()] +
			": configure what it takes")
	}
	switch p.TokenType {
	case ua.UserTokenTypeUserName:
		algorithm, secret, err := c.password(e, policy, nonce)
		if err != nil {
			return nil, nil, err
		}
		return &ua.UserNameIdentityToken{PolicyID: p.PolicyID, UserName: c.User.Name, Password: secret,
			EncryptionAlgorithm: algorithm}, &ua.SignatureData{}, nil
	case ua.UserTokenTypeCertificate:
		if policy == ua.SecurityPolicyURINone {
			return nil, nil,
				identityError("the endpoint takes user certificates without proof: choose another " +
					"security policy")
		}
		proof, err := channel.Sign(policy, c.User.Key, e.ServerCertificate, nonce)
		return &ua.X509IdentityToken{PolicyID: p.PolicyID, CertificateData: c.User.Certificate}, proof,
			wrapError("signing for the user", err)
	}
	return &ua.AnonymousIdentityToken{PolicyID: p.PolicyID}, &ua.SignatureData{}, nil
}

func identityError(reason string) error {
	return &Error{Service: "ActivateSession", Code: ua.StatusBadIdentityTokenRejected, Reason: reason}
}

// tokenPolicy returns the endpoint's policy for our kind of user, and the security
// policy in force for it; one whose security policy is supported, before others.
func (c Config) tokenPolicy(e *ua.EndpointDescription) (best *ua.UserTokenPolicy, policy string) {
	for _, p := range e.UserIdentityTokens {
		if p.TokenType != c.User.tokenType() {
			continue
		}
		uri := p.SecurityPolicyURI
		if uri == "" {
			uri = e.SecurityPolicyURI
		}
		if rank(uri) > rank(policy) || best == nil {
			best, policy = p, uri
		}
	}
	return best, policy
}

// rank orders security policies by how well they protect a secret.
func rank(policy string) int {
	switch policy {
	case ua.SecurityPolicyURIAes256Sha256RsaPss:
		return 4
	case ua.SecurityPolicyURIBasic256Sha256, ua.SecurityPolicyURIAes128Sha256RsaOaep:
		return 3
	case ua.SecurityPolicyURINone:
		return 1
	}
	return 0
}

// password encrypts the password for the server, unless the channel is encrypted or
// ClearPassword allows otherwise.
func (c Config) password(e *ua.EndpointDescription, policy string, nonce []byte) (string, []byte, error) {
	secret := c.Mode == ua.MessageSecurityModeSignAndEncrypt
	if policy == ua.SecurityPolicyURINone {
		if !secret && !c.User.ClearPassword {
			return "", nil,
				identityError("the server wants the password in the clear: choose SignAndEncrypt, " +
					"or allow it")
		}
		return "", []byte(c.User.Password), nil
	}
	// the certificate was not validated for the channel
	if c.Policy == ua.SecurityPolicyURINone && !c.User.ClearPassword {
		chain, err := channel.ParseChain(e.ServerCertificate)
		if err != nil {
			return "", nil, wrapError("the server's certificate", err)
		}
		if c.Store == nil {
			return "", nil,
				identityError("the server's certificate cannot be validated before the password is " +
					"sent: a certificate store is needed")
		}
		if err := c.Store.Check(chain, c.purpose(e), hostOf(c.Endpoint)); err != nil {
			return "", nil, wrapError("the server's certificate", err)
		}
	}
	algorithm, sealed, err := channel.EncryptPassword(policy, e.ServerCertificate, nonce, []byte(c.User.Password))
	if err != nil {
		return "", nil, fmt.Errorf("opcua client: encrypting the password: %w", err)
	}
	return algorithm, sealed, nil
}
