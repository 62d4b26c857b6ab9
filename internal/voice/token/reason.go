package token

// Reason says why a token was refused: a closed vocabulary, listed in Reasons.
// voice/sdk maps its Class to the SDK's error codes, monitoring counts by it.
type Reason string

// What the gate finds in the text, before anything is decoded.
const (
	ReasonEmpty             Reason = "empty"              // no text at all
	ReasonTooLarge          Reason = "too_large"          // over MaxSize bytes
	ReasonSegments          Reason = "segments"           // not exactly three segments separated by dots
	ReasonSegmentEmpty      Reason = "segment_empty"      // no header, or no payload in a device token
	ReasonPadding           Reason = "padding"            // '=' in a segment (RFC 7515 section 2: no padding)
	ReasonStandardAlphabet  Reason = "standard_alphabet"  // '+' or '/': Base64 instead of base64url
	ReasonLineBreak         Reason = "line_break"         // CR or LF; Go's encoding/base64 skips them even in strict mode
	ReasonIllegalCharacter  Reason = "illegal_character"  // any other byte outside A–Z a–z 0–9 - _
	ReasonSegmentLength     Reason = "segment_length"     // a length that no bytes encode to (1 modulo 4)
	ReasonTrailingBits      Reason = "trailing_bits"      // unused bits of the last character are not zero
	ReasonSignatureMissing  Reason = "signature_missing"  // the third segment is empty
	ReasonSignatureMismatch Reason = "signature_mismatch" // the signature is not the key's over this text
)

// What is wrong with the JSON of the header, the payload or a key. Refusal.Part
// says where.
const (
	ReasonNotJSON       Reason = "not_json"       // not JSON (RFC 8259)
	ReasonNotObject     Reason = "not_object"     // JSON, but not an object
	ReasonTrailingData  Reason = "trailing_data"  // something follows the object
	ReasonDuplicateName Reason = "duplicate_name" // a name occurs twice in one object, at any depth
	ReasonNameCase      Reason = "name_case"      // a name differs from one with a meaning only in case ("EXP")
	ReasonInvalidUTF8   Reason = "invalid_utf8"   // invalid UTF-8 or a lone surrogate, anywhere
	ReasonValueType     Reason = "value_type"     // a member with a meaning has the wrong type; null is one
)

// What is wrong with the header.
const (
	ReasonAlgorithmNone     Reason = "algorithm_none"     // "none" in any case
	ReasonAlgorithmUnknown  Reason = "algorithm_unknown"  // absent, or none that this way in knows
	ReasonAlgorithmMismatch Reason = "algorithm_mismatch" // known, but not the one the key is pinned to
	ReasonCriticalHeader    Reason = "critical_header"    // "crit" present: we implement no extension (RFC 7515 section 4.1.11)
	ReasonUnencodedPayload  Reason = "unencoded_payload"  // "b64" present (RFC 7797)
	ReasonWrongType         Reason = "wrong_type"         // "typ" is not JWT
	ReasonContentType       Reason = "content_type"       // "cty" is present and not the access token's
)

// What is wrong with the claims.
const (
	ReasonIssuer             Reason = "issuer"              // "iss" absent or not the id its kind demands
	ReasonSubject            Reason = "subject"             // "sub" of an access token absent or not an account id
	ReasonAudience           Reason = "audience"            // "aud" present: the token is meant for someone else (RFC 7519 section 4.1.3)
	ReasonExpiryMissing      Reason = "expiry_missing"      // no "exp"
	ReasonDateRange          Reason = "date_range"          // a date before 1970 or after 9999, such as one in milliseconds
	ReasonExpired            Reason = "expired"             // "exp" is not in the future; no leeway
	ReasonNotYetValid        Reason = "not_yet_valid"       // "nbf" is more than Leeway ahead
	ReasonIssuedInFuture     Reason = "issued_in_future"    // "iat" is more than Leeway ahead
	ReasonIdentityMissing    Reason = "identity_missing"    // an access token without identity, or an empty client name
	ReasonIdentityLength     Reason = "identity_length"     // over MaxIdentity characters
	ReasonIdentityCharacters Reason = "identity_characters" // a control character
	ReasonIdentityConflict   Reason = "identity_conflict"   // a capability token's scopes name different clients
	ReasonScopeSyntax        Reason = "scope_syntax"        // a scope that cannot be read
	ReasonScopeDuplicate     Reason = "scope_duplicate"     // two scopes of one kind, or a parameter given twice
	ReasonVoiceNotGranted    Reason = "voice_not_granted"   // valid, but nothing in it concerns voice
)

// What the keys say.
const (
	ReasonUnknownKey      Reason = "unknown_key"      // no such API key
	ReasonUnknownAccount  Reason = "unknown_account"  // no such account, or it has no auth token
	ReasonAccountMismatch Reason = "account_mismatch" // the API key belongs to another account than "sub"
	ReasonKeyDisabled     Reason = "key_disabled"     // the key exists but may not be used
	ReasonKeyRetired      Reason = "key_retired"      // the key was replaced, and the time of its overlap is over
	ReasonUnknownIssuer   Reason = "unknown_issuer"   // no account trusts this "iss"
	ReasonKeyIDMissing    Reason = "key_id_missing"   // an issuer's token without "kid"
	ReasonRevoked         Reason = "revoked"          // the key, the token id or the identity was revoked
	ReasonWayClosed       Reason = "way_closed"       // the account no longer lets devices in by this kind of token
)

// What is wrong with a ticket.
const (
	ReasonTicketUnknown Reason = "ticket_unknown" // none of ours, or long over
	ReasonTicketUsed    Reason = "ticket_used"    // it let a device in already
	ReasonTicketExpired Reason = "ticket_expired" // nobody used it in time
)

// What is wrong with a JSON Web Key; only from ParseJWK, ParseJWKSet and VerifyJWS.
const (
	ReasonKeyMalformed   Reason = "key_malformed"   // a member is missing, not canonical base64url, or not a point of the curve
	ReasonKeyUnsupported Reason = "key_unsupported" // a kty, crv or alg that we do not implement, or that do not go together
	ReasonKeyWeak        Reason = "key_weak"        // RSA under 2048 bits, or an HMAC key shorter than its hash (RFC 7518 section 3.2)
	ReasonKeyUse         Reason = "key_use"         // "use" or "key_ops" do not allow verifying
	ReasonKeyCount       Reason = "key_count"       // a set that does not hold exactly one key, or two of one id
)

// Reasons returns every Reason there is, in the order of their declaration.
func Reasons() []Reason {
	return []Reason{
		ReasonEmpty, ReasonTooLarge, ReasonSegments, ReasonSegmentEmpty, ReasonPadding, ReasonStandardAlphabet, ReasonLineBreak, ReasonIllegalCharacter,
		ReasonSegmentLength, ReasonTrailingBits, ReasonSignatureMissing, ReasonSignatureMismatch,
		ReasonNotJSON, ReasonNotObject, ReasonTrailingData, ReasonDuplicateName, ReasonNameCase, ReasonInvalidUTF8, ReasonValueType,
		ReasonAlgorithmNone, ReasonAlgorithmUnknown, ReasonAlgorithmMismatch, ReasonCriticalHeader, ReasonUnencodedPayload, ReasonWrongType, ReasonContentType,
		ReasonIssuer, ReasonSubject, ReasonAudience, ReasonExpiryMissing, ReasonDateRange, ReasonExpired, ReasonNotYetValid, ReasonIssuedInFuture,
		ReasonIdentityMissing, ReasonIdentityLength, ReasonIdentityCharacters, ReasonIdentityConflict,
		ReasonScopeSyntax, ReasonScopeDuplicate, ReasonVoiceNotGranted,
		ReasonUnknownKey, ReasonUnknownAccount, ReasonAccountMismatch, ReasonKeyDisabled, ReasonKeyRetired, ReasonUnknownIssuer,
		ReasonKeyIDMissing, ReasonRevoked, ReasonWayClosed, ReasonTicketUnknown, ReasonTicketUsed, ReasonTicketExpired,
		ReasonKeyMalformed, ReasonKeyUnsupported, ReasonKeyWeak, ReasonKeyUse, ReasonKeyCount,
	}
}

// Class is what a refusal means to the device.
type Class string

// The classes.
const (
	Malformed    Class = "malformed"    // the token is not one of ours: only another token helps
	Expired      Class = "expired"      // it was good: a fresh one helps
	Unauthorized Class = "unauthorized" // it may be genuine, but who it names is not let in
)

// Class returns what the refusal means to the device. A token before its time
// is Malformed: a fresh one from the same clock does not help.
func (r Reason) Class() Class {
	switch r {
	case ReasonExpired, ReasonTicketUsed, ReasonTicketExpired:
		return Expired
	case ReasonUnknownKey, ReasonUnknownAccount, ReasonAccountMismatch, ReasonKeyDisabled, ReasonKeyRetired, ReasonUnknownIssuer,
		ReasonRevoked, ReasonWayClosed, ReasonVoiceNotGranted:
		return Unauthorized
	default:
		return Malformed
	}
}
