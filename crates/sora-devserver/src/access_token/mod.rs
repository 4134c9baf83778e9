//! Access tokens as Sora's hosted services use them: an HS256 JSON Web Token (RFC 7519) in `metadata.access_token` of
//! `connect`. What is wrong with one is told by a word; the token itself goes nowhere.

mod claims;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Map, Value};
use sora_signaling::message::Connect;

use crate::Secret;
use crate::simulcast::Encodings;
use claims::Claims;

/// Tokens with all of Sora's claims stay far below this.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Why a client is not let in. The words follow the pattern of Sora's own (upper case, `AUTH-` in front); its exact
/// list is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none.
    Missing,
    /// It is no JWT, is not signed with HS256 and this secret, or has a claim of the wrong type.
    Invalid,
    /// `exp` has passed (RFC 7519 section 4.1.4).
    Expired,
    /// `nbf` has not come yet (RFC 7519 section 4.1.5).
    NotYetValid,
    /// It is for another channel.
    OtherChannel,
}

impl Refused {
    pub(crate) fn close_reason(self) -> &'static str {
        match self {
            Self::Missing => "AUTH-ACCESS-TOKEN-MISSING",
            Self::Invalid => "AUTH-ACCESS-TOKEN-INVALID",
            Self::Expired => "AUTH-ACCESS-TOKEN-EXPIRED",
            Self::NotYetValid => "AUTH-ACCESS-TOKEN-NOT-YET-VALID",
            Self::OtherChannel => "AUTH-CHANNEL-ID-MISMATCH",
        }
    }
}

/// What a token grants beyond what it changes in `connect`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Grant {
    /// How long the connection may last, if the token limits it.
    pub(crate) lifetime: Option<Duration>,
    /// How to encode the layers of simulcast, if the token says so.
    pub(crate) encodings: Option<Encodings>,
}

/// Checks the token of a `connect` and lets its claims overrule what the client asked for. `now` is in seconds since the Unix epoch.
pub(crate) fn authorize(secret: &Secret, connect: &mut Connect, now: f64) -> Result<Grant, Refused> {
    let token = connect.metadata.as_ref().and_then(|metadata| metadata.get("access_token"));
    let token = token.ok_or(Refused::Missing)?.as_str().ok_or(Refused::Invalid)?;
    let claims = Claims::parse(&verified(secret, token)?)?;
    claims.check(&connect.channel_id, now)?;
    claims.apply(connect);
    Ok(Grant { lifetime: claims.connection_lifetime, encodings: claims.simulcast_encodings })
}

/// The claims of a token whose signature is good (RFC 7515 section 5.2).
fn verified(secret: &Secret, token: &str) -> Result<Map<String, Value>, Refused> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refused::Invalid);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Invalid)?;
    let (header, payload) = signed.split_once('.').ok_or(Refused::Invalid)?;
    let header = object(header)?;
    // A `crit` header names extensions that must be understood (RFC 7515 section 4.1.11); none are.
    if header.get("alg").and_then(Value::as_str) != Some("HS256") || header.contains_key("crit") {
        return Err(Refused::Invalid);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    // Compares in constant time.
    hmac::verify(&key, signed.as_bytes(), &decoded(signature)?).map_err(|_| Refused::Invalid)?;
    object(payload)
}

fn decoded(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Invalid)
}

fn object(part: &str) -> Result<Map<String, Value>, Refused> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| Refused::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_refused_before_its_claims_are_read() {
        let secret = Secret::from("secret".to_owned());
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode("{}"));
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        for token in ["", ".", "..", "a.b.c", "e30.e30.e30", "e30.e30", &none, &long, "あ.い.う"] {
            assert_eq!(verified(&secret, token), Err(Refused::Invalid), "{token:.40}");
        }
    }

    /// The token jwt.io shows first, made by another implementation.
    #[test]
    fn a_token_made_elsewhere_is_accepted_with_its_secret_only() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                     eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
                     SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        let claims = verified(&Secret::from("your-256-bit-secret".to_owned()), token).expect("a good signature");
        assert_eq!(claims["name"], "John Doe");
        assert_eq!(verified(&Secret::from("another".to_owned()), token), Err(Refused::Invalid));
    }
}
