// Package channel secures OPC UA messages: the UA Secure Conversation of
// OPC 10000-6 §6.7 in both roles (terms follow the standard; no conformance is
// claimed beyond what the tests show).
//
// It implements the policies None, Basic256Sha256, Aes128_Sha256_RsaOaep and
// Aes256_Sha256_RsaPss with the modes None, Sign and SignAndEncrypt, opens and
// renews channels, splits messages into chunks and assembles them, and carries their bodies
// as raw bytes without interpreting them. It also
// holds the signatures and password encryption of CreateSession and
// ActivateSession, and Decode, which checks a body before the library's decoder
// may allocate for it.
//
// It refuses deprecated policies, a client certificate that its callback refuses
// (before the private key is used and before anything is answered), a sequence
// number that is out of order, a token that has expired, and messages, chunk
// counts and renewals above their limits. Every failure to decrypt or to verify
// returns the same error, so that there is no padding oracle.
//
//	OPN  | header 8 | channel u32 | policy URI, sender certificate, receiver
//	     |          thumbprint: each length i32 and bytes | secured part
//	MSG  | header 8 | channel u32 | token u32             | secured part
//	CLO
//
//	secured part
//	     | sequence u32 | request u32 | body | padding | signature |
//	padding (only where encrypted)
//	     | size low u8 | size × (size low) | size high u8 (RSA keys > 2048 bits) |
//
// The signature covers everything before it, the encryption everything from the
// sequence number on. Keys are P_SHA256(the receiver's nonce, the sender's nonce).
//
// The library's uapolicy makes and checks the RSA signatures. Its symmetric code
// allocates three times per chunk, and its OAEP blocks for Aes256_Sha256_RsaPss
// are 64 bytes short of what the policy says, so both are done here on the
// standard library; uapolicy is the reference in the tests.
package channel
