// Package pki keeps the certificates of an OPC UA application in folders and
// decides which peers to trust: the certificate store of OPC 10000-12 Annex F and
// the validation of OPC 10000-4 §6.1.3 (terms follow the standards; no conformance
// is claimed beyond what the tests show).
//
//	own/certs          our certificate, DER        own/private   its key, PEM, mode 0600
//	trusted/certs      peers, or CAs, to trust     trusted/crl   revocation lists of CAs
//	issuer/certs       CAs that complete chains    issuer/crl    their lists
//	trusted_users/…    the same for user certificates
//	rejected/certs     what was rejected last, for the operator to examine and to trust
//
// Certificates and lists are read as DER or PEM. The names that other stacks use are
// read too and never written: issuers/ for issuer/, certificates directly in
// rejected/. An operator's change takes effect within two seconds, without a restart.
//
// The package refuses to trust on first use, to skip a step of the validation unless
// configured, to use a clock that is behind the latest time known, to let a flood of bad
// certificates fill the disk, the log or another client's place in rejected/, and to log
// text of a certificate without making it printable. Two steps, host name and dates, may be
// suppressed for a certificate that is itself trusted, with a warning.
package pki
