package server

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
)

// The user token policies by their names in an endpoint.
const (
	policyAnonymous   = "anonymous"
	policyUserName    = "username"
	policyCertificate = "certificate"
)

// tokens returns the user token policies of an endpoint.
func (s *Server) tokens(security channel.Security) (list []*ua.UserTokenPolicy) {
	if s.cfg.Anonymous {
		list = append(list, &ua.UserTokenPolicy{PolicyID: policyAnonymous, TokenType: ua.UserTokenTypeAnonymous})
	}
	policy := tokenPolicy(security.Policy)
	if s.cfg.Password != nil && s.cfg.Store != nil {
		list = append(list,
			&ua.UserTokenPolicy{PolicyID: policyUserName, TokenType: ua.UserTokenTypeUserName,
				SecurityPolicyURI: policy})
	}
	if s.cfg.UserCertificates && s.cfg.Store != nil {
		list = append(list,
			&ua.UserTokenPolicy{PolicyID: policyCertificate, TokenType: ua.UserTokenTypeCertificate,
				SecurityPolicyURI: policy})
	}
	return list
}

// tokenPolicy returns the policy that protects a token: the channel's, or, on a channel without
// security, Basic256Sha256.
func tokenPolicy(channelPolicy string) string {
	if channelPolicy == ua.SecurityPolicyURINone {
		return ua.SecurityPolicyURIBasic256Sha256
	}
	return channelPolicy
}

// user identifies the user of a client. The name is prefixed with the kind of token, so that
// names are unique.
func (q *query) user(req *ua.ActivateSessionRequest, nonce []byte) (name string, code ua.StatusCode) {
	if req.UserIdentityToken == nil || req.UserIdentityToken.Value == nil {
		return q.anonymous()
	}
	switch token := req.UserIdentityToken.Value.(type) {
	case *ua.AnonymousIdentityToken:
		if token.PolicyID == policyAnonymous || token.PolicyID == "" { // the same as no token
			return q.anonymous()
		}
	case *ua.UserNameIdentityToken:
		if token.PolicyID == policyUserName {
			return q.userName(token, nonce)
		}
	case *ua.X509IdentityToken:
		if token.PolicyID == policyCertificate {
			return q.userCertificate(token, req.UserTokenSignature, nonce)
		}
	}
	return "", ua.StatusBadIdentityTokenInvalid
}

func (q *query) anonymous() (string, ua.StatusCode) {
	if !q.server.cfg.Anonymous {
		return "", ua.StatusBadIdentityTokenRejected
	}
	// Anonymous clients are identified by certificate or address: one must not transfer the
	// subscriptions of another.
	peer := q.conn.channel.Peer()
	if peer.Chain != nil {
		return policyAnonymous + ":" + string(channel.Thumbprint(peer.Certificate)), ua.StatusOK
	}
	return policyAnonymous + ":" + peer.Address.String(), ua.StatusOK
}

func (q *query) userName(token *ua.UserNameIdentityToken, nonce []byte) (string, ua.StatusCode) {
	peer := q.conn.channel.Peer()
	switch {
	case q.server.cfg.Password == nil || q.server.cfg.Store == nil:
		return "", ua.StatusBadIdentityTokenRejected
	case token.UserName == "" || len(token.Password) > maxPasswordSize:
		return "", ua.StatusBadIdentityTokenInvalid
	}
	password := token.Password
	if token.EncryptionAlgorithm != "" {
		var err error
		password, err = channel.DecryptPassword(tokenPolicy(peer.Policy), q.conn.channel.Identity().Key, nonce,
			token.EncryptionAlgorithm, token.Password)
		if err != nil { // treated as a wrong password, so that a client cannot learn what decrypts
			password = channel.Nonce()
		}
	} else if peer.Mode != ua.MessageSecurityModeSignAndEncrypt { // not encrypted at all
		return "", ua.StatusBadIdentityTokenInvalid
	}
	if !q.server.cfg.Password(token.UserName, string(password), peer.Address) {
		return "", ua.StatusBadUserAccessDenied
	}
	return policyUserName + ":" + token.UserName, ua.StatusOK
}

func (q *query) userCertificate(token *ua.X509IdentityToken, signature *ua.SignatureData, nonce []byte) (string,
	ua.StatusCode) {
	if !q.server.cfg.UserCertificates || q.server.cfg.Store == nil {
		return "", ua.StatusBadIdentityTokenRejected
	}
	chain, err := channel.ParseChain(token.CertificateData)
	if err != nil {
		return "", ua.StatusBadIdentityTokenInvalid
	}
	peer := q.conn.channel.Peer()
	own := q.conn.channel.Identity().Certificate
	policy := tokenPolicy(peer.Policy)
	if err := channel.Verify(policy, token.CertificateData, own, nonce, signature,
		ua.StatusBadUserSignatureInvalid); err != nil {
		return "", channel.Code(err)
	}
	if err := q.server.cfg.Store.Check(chain, pki.Purpose{User: true}, peer.Address.String()); err != nil {
		return "", ua.StatusBadIdentityTokenRejected
	}
	q.userChain = chain
	return policyCertificate + ":" + string(channel.Thumbprint(token.CertificateData)), ua.StatusOK
}
