//! A session's token: a JWT (RFC 7519) of one form only, signed with Ed25519 (RFC 8037). Nothing in a token chooses how it is
//! verified: its header must be the one that this module writes, but for the name of the key.

use super::rules::Role;
use crate::contract::SessionRef;
use crate::domain::{UsuarioId, hex};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Seconds that a token is valid.
pub const LIFE: i64 = 15 * 60;
/// Seconds by which two machines' clocks may differ: a token is taken so much too early, and so much too late.
pub const LEEWAY: i64 = 30;
/// Who signs, and who verifies.
const ISSUER: &str = "mercado-usuarios";
const AUDIENCE: &str = "mercado";
/// The bytes of a key's seed.
pub const SEED: usize = 32;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The account.
    #[serde(with = "text")]
    pub sub: u64,
    /// The usuario of a comprador.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usuario_id: Option<UsuarioId>,
    /// What the account may do.
    pub roles: Vec<Role>,
    /// The account's version: a newer one revokes the token.
    pub version: u64,
    /// The session. All tokens of a session have one.
    #[serde(with = "hex")]
    pub sid: u128,
    /// The API key with which the session was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clave_api: Option<u32>,
    /// When the session was begun, in seconds since 1970.
    pub auth_time: i64,
    /// When the token was made.
    pub iat: i64,
    /// From when it is valid.
    pub nbf: i64,
    /// Until when.
    pub exp: i64,
}

/// Whose session it is, and since when.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The account.
    pub account: u64,
    /// The usuario of a comprador.
    pub usuario_id: Option<UsuarioId>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// The account's version.
    pub version: u64,
    /// The session.
    pub sid: u128,
    /// The API key with which it was begun.
    pub api_key: Option<u32>,
    /// When it was begun, in seconds since 1970.
    pub auth_time: i64,
}

impl Claims {
    /// What a token says that is made now.
    pub fn new(subject: Subject, now: i64) -> Self {
        let Subject { account, usuario_id, roles, version, sid, api_key, auth_time } = subject;
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: account,
            usuario_id,
            roles,
            version,
            sid,
            clave_api: api_key,
            auth_time,
            iat: now,
            nbf: now,
            exp: now + LIFE,
        }
    }

    /// The session, as a charge names it.
    pub fn session(&self) -> SessionRef {
        SessionRef { account: self.sub, version: self.version, sid: self.sid, api_key: self.clave_api }
    }

    /// Whether it is valid at a time. The leeway is both ways.
    pub fn is_valid(&self, now: i64) -> bool {
        self.nbf <= now.saturating_add(LEEWAY) && now < self.exp.saturating_add(LEEWAY)
    }
}

/// The only header that a token may have.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// Why a token does not count. Nobody who sends one is told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It has not the form of a token of ours.
    Form,
    /// Nobody signs with such a key.
    UnknownKey,
    /// Its signature is wrong.
    Signature,
    /// It is of somebody else, for somebody else, or says what no token says.
    Claims,
    /// It is not valid at this time.
    Time,
}

/// What one key can verify: its name and its public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in tokens.
    pub kid: String,
    /// 32 bytes.
    pub bytes: Vec<u8>,
}

/// Reads a JSON object; serde reads a struct from an array as well.
fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    if json.first() == Some(&b'{') { serde_json::from_slice(json).ok() } else { None }
}

/// Reads a token that one of some keys has signed and that is valid now.
///
/// # Errors
/// Why not.
pub fn read(token: &str, keys: &[PublicKey], now: i64) -> Result<Claims, Invalid> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Invalid::Form);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Form);
    let parsed: Header = object(&decode(header)?).ok_or(Invalid::Form)?;
    if parsed.alg != "EdDSA" || parsed.typ != "JWT" {
        return Err(Invalid::Form);
    }
    let key = keys.iter().find(|key| key.kid == parsed.kid).ok_or(Invalid::UnknownKey)?;
    let signed = &token[..header.len() + 1 + payload.len()];
    UnparsedPublicKey::new(&ED25519, &key.bytes)
        .verify(signed.as_bytes(), &decode(signature)?)
        .map_err(|_| Invalid::Signature)?;
    let claims: Claims = object(&decode(payload)?).ok_or(Invalid::Claims)?;
    if claims.iss != ISSUER || claims.aud != AUDIENCE {
        return Err(Invalid::Claims);
    }
    if !claims.is_valid(now) {
        return Err(Invalid::Time);
    }
    Ok(claims)
}

/// A key that signs.
pub struct Signer {
    kid: String,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.kid)
    }
}

impl Signer {
    /// The key of a seed; `None` where the seed has not 32 bytes. Its name is a part of its public half's hash, so that one
    /// seed has one name everywhere.
    pub fn of(seed: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let digest = ring::digest::digest(&ring::digest::SHA256, pair.public_key().as_ref());
        let kid = URL_SAFE_NO_PAD.encode(digest.as_ref().get(..12)?);
        Some(Self { kid, pair })
    }

    /// A new seed.
    pub fn fresh_seed() -> Option<[u8; SEED]> {
        random()
    }

    /// What verifies its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey { kid: self.kid.clone(), bytes: self.pair.public_key().as_ref().to_vec() }
    }

    /// A token.
    pub fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let header = Header { alg: "EdDSA".to_owned(), kid: self.kid.clone(), typ: "JWT".to_owned() };
        let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
        let signed = format!("{}.{}", part(serde_json::to_vec(&header)?), part(serde_json::to_vec(claims)?));
        let signature = self.pair.sign(signed.as_bytes());
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

/// Bytes that nobody can guess; `None` where the system gives none.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes).ok()?;
    Some(bytes)
}

/// The public keys on the wire (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// Each as an object.
    pub keys: Vec<Jwk>,
}

/// One of them (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
    x: String,
}

impl KeySet {
    /// Of some keys.
    pub fn of(keys: &[PublicKey]) -> Self {
        let jwk = |key: &PublicKey| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: key.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(&key.bytes),
        };
        Self { keys: keys.iter().map(jwk).collect() }
    }

    /// The keys that are of our kind.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let ours = self.keys.iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
        let read = |key: &Jwk| {
            let bytes = URL_SAFE_NO_PAD.decode(&key.x).ok().filter(|bytes| bytes.len() == 32)?;
            Some(PublicKey { kid: key.kid.clone(), bytes })
        };
        ours.filter_map(read).collect()
    }
}

/// A subject is text in a JWT.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(n: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(n)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn subject() -> Subject {
        Subject {
            account: 7,
            usuario_id: UsuarioId::new(1),
            roles: vec![Role::Buyer],
            version: 3,
            sid: 42,
            api_key: None,
            auth_time: NOW,
        }
    }

    fn signer(seed: u8) -> Signer {
        Signer::of(&[seed; SEED]).unwrap()
    }

    /// A token with any header and payload, signed with the key of the seed 1.
    fn forged(header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = signer(1).pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    #[test]
    fn a_token_reads_back() {
        let (signer, claims) = (signer(1), Claims::new(subject(), NOW));
        let token = signer.sign(&claims).unwrap();
        assert_eq!(read(&token, &[signer.public()], NOW), Ok(claims));
        assert!(token.len() < http_kit::access::MAX_TOKEN, "{}", token.len());
        let keys = KeySet::of(&[signer.public()]);
        let json = serde_json::to_string(&keys).unwrap();
        assert!(!json.contains(&URL_SAFE_NO_PAD.encode([1; SEED])), "a seed is no public key");
        assert_eq!(serde_json::from_str::<KeySet>(&json).unwrap().public_keys(), [signer.public()]);
    }

    #[test]
    fn two_keys_are_valid_at_once_and_others_are_not() {
        let token = |seed| signer(seed).sign(&Claims::new(subject(), NOW)).unwrap();
        let keys = [signer(1).public(), signer(2).public()];
        assert!(read(&token(1), &keys, NOW).is_ok() && read(&token(2), &keys, NOW).is_ok());
        assert_eq!(read(&token(3), &keys, NOW), Err(Invalid::UnknownKey));
        assert_eq!(read(&token(1), &keys[1..], NOW), Err(Invalid::UnknownKey), "rotated away");
    }

    #[test]
    fn clocks_may_differ_by_the_leeway_and_no_more() {
        let claims = Claims::new(subject(), NOW);
        for (now, valid) in [
            (NOW - LEEWAY - 1, false),
            (NOW - LEEWAY, true),
            (NOW, true),
            (NOW + LIFE + LEEWAY - 1, true),
            (NOW + LIFE + LEEWAY, false),
        ] {
            assert_eq!(claims.is_valid(now), valid, "{}", now - NOW);
            let token = signer(1).sign(&claims).unwrap();
            assert_eq!(read(&token, &[signer(1).public()], now).is_ok(), valid, "{}", now - NOW);
        }
    }

    #[test]
    fn what_is_not_exactly_a_token_of_ours_is_refused() {
        let (key, good) = (signer(1).public(), signer(1).sign(&Claims::new(subject(), NOW)).unwrap());
        let kid = &key.kid;
        let payload = serde_json::to_string(&Claims::new(subject(), NOW)).unwrap();
        let header = |alg: &str| format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"JWT"}}"#);
        let keys = [key.clone()];
        assert!(read(&forged(&header("EdDSA"), &payload), &keys, NOW).is_ok(), "the forger knows the form");
        let no = |token: &str, why| assert_eq!(read(token, &keys, NOW), Err(why), "{token}");

        let none =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(header("none")), URL_SAFE_NO_PAD.encode(&payload));
        no(&none, Invalid::Form);
        no(&forged(&header("none"), &payload), Invalid::Form);
        no(&forged(&header("eddsa"), &payload), Invalid::Form);
        // signed with the public key as a shared secret
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header("HS256")), URL_SAFE_NO_PAD.encode(&payload));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key.bytes);
        let tag = ring::hmac::sign(&secret, signed.as_bytes());
        no(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref())), Invalid::Form);

        for header in [
            r#"{"alg":"EdDSA","typ":"JWT"}"#.to_owned(),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT","crit":["exp"]}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT","jwk":{{}}}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","kid":"{kid}","typ":"JWT"}}"#),
            "[]".to_owned(),
            // serde reads a struct from an array as well
            format!(r#"["EdDSA","{kid}","JWT"]"#),
        ] {
            no(&forged(&header, &payload), Invalid::Form);
        }
        no(&forged(&header("EdDSA").replace(kid, "other"), &payload), Invalid::UnknownKey);

        for (from, to) in [
            (ISSUER, "somebody"),
            (r#""aud":"mercado""#, r#""aud":"other""#),
            (r#""sub":"7""#, r#""sub":"x""#),
            (r#""roles":["comprador"]"#, r#""roles":["rey"]"#),
            (r#""version":3"#, r#""version":-3"#),
            (r#""usuarioId":1"#, r#""usuarioId":0"#),
            (r#""version":3"#, r#""version":3,"admin":true"#),
        ] {
            let changed = payload.replacen(from, to, 1);
            assert_ne!(changed, payload);
            no(&forged(&header("EdDSA"), &changed), Invalid::Claims);
            // with the signature of another payload
            let mut parts: Vec<_> = good.split('.').collect();
            let other = URL_SAFE_NO_PAD.encode(&changed);
            parts[1] = &other;
            no(&parts.join("."), Invalid::Signature);
        }
        let fields: serde_json::Map<_, _> = serde_json::from_str(&payload).unwrap();
        let array = serde_json::to_string(&fields.values().collect::<Vec<_>>()).unwrap();
        no(&forged(&header("EdDSA"), &array), Invalid::Claims);
        for token in
            ["", ".", "..", "...", "a.b.c", &format!("{good}."), &format!("{good}="), &format!(" {good}")]
        {
            assert!(read(token, &keys, NOW).is_err(), "{token}");
        }
        for length in 0..good.len() {
            assert!(read(&good[..length], &keys, NOW).is_err(), "cut off after {length}");
        }
    }
}
