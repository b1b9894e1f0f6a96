//! The check before each handler, and what a handler learns of who asks.

use super::rules::{Grant, RULES, is_open, rule_of};
use super::token::{Claims, LEEWAY};
use super::verifier::{Unverified, Verifier};
use crate::clock;
use crate::contract::SessionRef;
use crate::domain::{Clave, MAX_CLAVE, UsuarioId};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use async_trait::async_trait;
use futures_util::FutureExt;
use http_kit::access::{
    self, Access, Carrier, Verdict, credential, forbidden, invalid_token, not_authenticated,
};
use http_kit::openapi::by_status;
use http_kit::problem::{General, Problem, Text};
use http_kit::request::Field;
use http_kit::validate::{Parsed, Raw};
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// The session's cookie, and its name on an encrypted connection. A browser takes a cookie of the second name only from an
/// encrypted page of this very host (RFC 6265bis, 4.1.3.2).
const COOKIE: (&str, &str) = ("sesion", "__Host-sesion");

/// Whether people log in here, and if so how their tokens are verified. Clones share the keys.
#[derive(Clone)]
pub struct Accounts(Option<Arc<On>>);

struct On {
    verifier: Verifier,
    behind_gateway: bool,
    sessions: Option<Arc<dyn Sessions>>,
}

/// Knows which sessions last.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Whether a session does.
    ///
    /// # Errors
    /// 403 where it has ended or its account was revoked; those of the store.
    async fn lasts(&self, session: &SessionRef) -> Result<(), Problem>;
}

impl Accounts {
    /// Whoever asks says who they are.
    pub fn off() -> Self {
        Self(None)
    }

    /// People log in. Where the accounts are in this process, `sessions` knows which of them have ended before their token does.
    pub fn on(verifier: Verifier, behind_gateway: bool, sessions: Option<Arc<dyn Sessions>>) -> Self {
        Self(Some(Arc::new(On { verifier, behind_gateway, sessions })))
    }

    /// Whether they do.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The check of the public port.
    pub fn access(&self) -> Access {
        match self.0.clone() {
            None => Access::open(),
            Some(on) => Access::by(move |req, pattern| on.check(req, pattern)),
        }
    }

    /// Completes a description: who may call what, and what is answered to others.
    pub fn describe(&self, api: &mut OpenApi) {
        if self.is_on() {
            self.describe_sessions(api);
        } else if let Some(RefOr::T(Schema::Object(compra))) =
            api.components.as_mut().and_then(|c| c.schemas.get_mut("CompraNueva"))
        {
            // nobody else says who buys
            compra.required.insert(0, "usuarioId".to_owned());
        }
    }

    fn describe_sessions(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(COOKIE.0));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
        for rule in RULES {
            let Some(item) = api.paths.paths.get_mut(rule.path) else { continue };
            let operation = match rule.method {
                "GET" => &mut item.get,
                "POST" => &mut item.post,
                "PUT" => &mut item.put,
                "PATCH" => &mut item.patch,
                _ => &mut item.delete,
            };
            if let Some(operation) = operation {
                secure(operation, rule.grants[0] != Grant::No);
            }
        }
    }
}

fn secure(operation: &mut Operation, visitors: bool) {
    let no_scopes: [String; 0] = [];
    let by = |name: &str| SecurityRequirement::new(name, no_scopes.clone());
    let mut refused = vec![General::NotAuthenticated.code()];
    // who has no token is let in, and a token that does not count is refused
    if !visitors {
        operation.security = Some(vec![by("token"), by("cookie")]);
        refused.push(General::Forbidden.code());
    }
    for (status, response) in by_status(&refused) {
        operation.responses.responses.entry(status).or_insert(response);
    }
}

impl On {
    fn cookie(&self, req: &HttpRequest) -> &'static str {
        if access::is_encrypted(req, self.behind_gateway) { COOKIE.1 } else { COOKIE.0 }
    }

    /// The one place that decides. What is in no table is refused.
    fn check(&self, req: &HttpRequest, pattern: &str) -> Verdict {
        let method = access::method(req).as_str();
        if is_open(method, pattern) {
            return Ok(None);
        }
        let rule = rule_of(method, pattern)
            .ok_or_else(|| Problem::internal(format!("{method} {pattern} has no rule")))?;
        let visitors = rule.grants[0] == Grant::All;
        let found = match credential(req, self.cookie(req))? {
            None => None,
            Some((carrier, token)) => match self.verifier.verify(token, clock::now().timestamp()) {
                Ok(claims) => Some((carrier, claims)),
                // what everybody may see needs no token, and an old cookie comes without being asked for
                Err(Unverified::NoKeys) if visitors => None,
                Err(_) if visitors && carrier == Carrier::Cookie => None,
                Err(Unverified::NoKeys) => return Err(no_keys()),
                Err(Unverified::Invalid(why)) => {
                    log::debug!("a token is refused: {why:?}");
                    return Err(invalid_token());
                }
            },
        };
        let Some((carrier, claims)) = found else {
            if visitors {
                return Ok(None);
            }
            return Err(not_authenticated(Text::new(
                "Inicie una sesión (POST /sesiones) y envíe Authorization: Bearer TOKEN.",
                "Begin a session (POST /sesiones) and send Authorization: Bearer TOKEN.",
            )));
        };
        if carrier == Carrier::Cookie {
            access::check_origin(req)?;
        }
        let grant = rule.grant(&claims.roles);
        if grant == Grant::No || (grant == Grant::Own && !is_own(req, pattern, &claims)) {
            return Err(not_allowed());
        }
        let asked = self.sessions.as_ref().filter(|_| !req.method().is_safe() && !looks_itself(pattern)).map(
            |sessions| {
                let (sessions, session) = (Arc::clone(sessions), claims.session());
                async move { sessions.lasts(&session).await }.boxed_local()
            },
        );
        req.extensions_mut().insert(Caller::Subject { claims, grant, carrier });
        Ok(asked)
    }
}

/// Whether what is written there looks by itself whether the session lasts: a purchase when it is charged, and a change of a
/// session or of one's own account when it is made.
fn looks_itself(pattern: &str) -> bool {
    ["/transacciones", "/sesiones", "/cuenta/"].iter().any(|begin| pattern.starts_with(begin))
}

/// Whether a path below one usuario is that of who asks. Of what is not in the path the handler decides.
fn is_own(req: &HttpRequest, pattern: &str, claims: &Claims) -> bool {
    if !pattern.starts_with("/usuarios/{id}") {
        return true;
    }
    let own = claims.usuario_id.map(|id| id.to_string());
    own.is_some_and(|own| own == req.match_info().query("id"))
}

fn not_allowed() -> Problem {
    forbidden(Text::new("Su cuenta no puede hacer esto.", "Your account may not do this."))
}

fn no_keys() -> Problem {
    Problem::new(
        General::ServiceUnavailable,
        Text::new(
            "Aún no se conocen las claves públicas de usuarios, y ningún token puede comprobarse.",
            "The public keys of usuarios are not known yet, and no token can be verified.",
        ),
    )
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody logs in here: whoever asks says who they are.
    Anyone,
    /// Somebody who has not logged in.
    Visitor,
    /// Somebody who has.
    Subject {
        /// What their token says.
        claims: Arc<Claims>,
        /// How far this operation is open to them.
        grant: Grant,
        /// How the token came.
        carrier: Carrier,
    },
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = match req.app_data::<Accounts>() {
            Some(Accounts(None)) => Ok(Self::Anyone),
            Some(Accounts(Some(_))) => Ok(req.extensions().get::<Self>().cloned().unwrap_or(Self::Visitor)),
            None => Err(Problem::internal("a port that does not say whether people log in")),
        };
        ready(caller)
    }
}

impl FromRequest for Accounts {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let unsaid = || Problem::internal("a port that does not say whether people log in");
        ready(req.app_data::<Self>().cloned().ok_or_else(unsaid))
    }
}

/// Who buys, as a request says it: it may be left out where people log in, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buyer(Option<UsuarioId>);

impl Field for Buyer {
    type Schema = <UsuarioId as Field>::Schema;
    const INLINE: bool = <UsuarioId as Field>::INLINE;

    fn read(raw: &Raw) -> Parsed<Self> {
        UsuarioId::read(raw).map(|id| Self(Some(id)))
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }

    fn absent_in(req: &HttpRequest) -> Option<Self> {
        let people_log_in = req.app_data::<Accounts>().is_some_and(Accounts::is_on);
        people_log_in.then_some(Self(None))
    }
}

impl Caller {
    /// What the token says.
    ///
    /// # Errors
    /// 401 where there is none.
    pub fn claims(&self) -> Result<&Claims, Problem> {
        match self {
            Self::Subject { claims, .. } => Ok(claims),
            Self::Anyone | Self::Visitor => Err(invalid_token()),
        }
    }

    /// For whom a purchase is. With accounts it is for the usuario of who asks, who need not say so.
    ///
    /// # Errors
    /// 403 for another one's.
    pub fn buyer(&self, Buyer(asked): Buyer) -> Result<UsuarioId, Problem> {
        match self {
            Self::Anyone => asked.ok_or_else(|| Problem::internal("a buyer whom nobody named")),
            Self::Visitor => Err(not_allowed()),
            Self::Subject { claims, .. } => match claims.usuario_id {
                Some(own) if asked.is_none_or(|asked| asked == own) => Ok(own),
                _ => Err(not_allowed()),
            },
        }
    }

    /// Whose purchases may be listed, where those of `asked` are asked for (`None`: everybody's).
    ///
    /// # Errors
    /// 403 for another one's.
    pub fn reader(&self, asked: Option<UsuarioId>) -> Result<Option<UsuarioId>, Problem> {
        match self {
            Self::Anyone | Self::Subject { grant: Grant::All, .. } => Ok(asked),
            Self::Visitor | Self::Subject { .. } => self.buyer(Buyer(asked)).map(Some),
        }
    }

    /// Whether what belongs to a usuario may be seen.
    pub fn may_see(&self, usuario: UsuarioId) -> bool {
        self.reader(Some(usuario)).is_ok()
    }

    /// For how long from now the token counts, for an answer that goes on; `None` where nobody logs in.
    pub fn lasts(&self) -> Option<Duration> {
        let claims = self.claims().ok()?;
        let seconds = claims.exp.saturating_add(LEEWAY).saturating_sub(clock::now().timestamp());
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    }

    /// The session, for a charge.
    pub fn session(&self) -> Option<SessionRef> {
        self.claims().ok().map(Claims::session)
    }

    /// A client's key as it is kept. With accounts a key belongs to its subject: the same key of two people is two keys. One of
    /// a market where nobody logs in that looks like one of an account's is that of account 0, which nobody has.
    pub fn owned(&self, clave: Clave) -> Clave {
        let account = match self.claims() {
            Ok(claims) => claims.sub,
            Err(_) if looks_owned(clave.as_str()) => 0,
            Err(_) => return clave,
        };
        let owner = format!("c{account}:");
        let mut owned = format!("{owner}{}", clave.as_str());
        if owned.len() > MAX_CLAVE {
            let digest = ring::digest::digest(&ring::digest::SHA256, clave.as_str().as_bytes());
            owned = format!("{owner}~");
            digest.as_ref().iter().for_each(|byte| owned.push_str(&format!("{byte:02x}")));
        }
        owned.parse().unwrap_or(clave)
    }

    /// How the token came.
    pub fn carrier(&self) -> Option<Carrier> {
        match self {
            Self::Subject { carrier, .. } => Some(*carrier),
            Self::Anyone | Self::Visitor => None,
        }
    }
}

/// Whether a key begins as those of accounts do: `c1:`.
fn looks_owned(clave: &str) -> bool {
    let account = clave.strip_prefix('c').and_then(|rest| rest.split_once(':'));
    account.is_some_and(|(account, _)| !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit()))
}

impl Accounts {
    /// `Set-Cookie` for a session of so many seconds; an empty token ends it.
    pub fn cookie(&self, req: &HttpRequest, token: &str, seconds: i64) -> String {
        let encrypted = self.0.as_ref().is_some_and(|on| access::is_encrypted(req, on.behind_gateway));
        let (name, secure) = if encrypted { (COOKIE.1, "; Secure") } else { (COOKIE.0, "") };
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }

    /// The client's address, as far as it can be known.
    pub fn client_address(&self, req: &HttpRequest) -> Option<std::net::IpAddr> {
        access::client_address(req, self.0.as_ref().is_some_and(|on| on.behind_gateway))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Role;
    use super::super::token::Subject;
    use super::*;
    use actix_web::test::TestRequest;

    fn caller(account: u64, usuario: u64) -> Caller {
        let subject = Subject {
            account,
            usuario_id: UsuarioId::new(usuario),
            roles: vec![Role::Buyer],
            version: 1,
            sid: 1,
            api_key: None,
            auth_time: 0,
        };
        Caller::Subject {
            claims: Arc::new(Claims::new(subject, 0)),
            grant: Grant::Own,
            carrier: Carrier::Header,
        }
    }

    #[test]
    fn a_key_belongs_to_its_subject() {
        let longest = "k".repeat(MAX_CLAVE);
        let mut seen = std::collections::HashSet::new();
        for account in [1, 2, 11] {
            for key in ["k", "1:k", "c1:k", "c2:k", &longest, &longest[..MAX_CLAVE - 1]] {
                let owned = caller(account, account).owned(key.parse().unwrap());
                assert!(seen.insert(owned.clone()), "{owned} is also another key");
                assert_eq!(owned, caller(account, 9).owned(key.parse().unwrap()), "and always the same");
            }
        }
        let nobodys = |key: &str| Caller::Anyone.owned(key.parse().unwrap());
        for key in ["c0:k", "c1:k", "c1:", &format!("c1:{}", &longest[3..]), "c2:k"] {
            assert!(seen.insert(nobodys(key)), "{key} of nobody is also somebody's");
        }
        for key in ["k", "c", "c:k", "ca:k", "c1", "1:k"] {
            assert_eq!(nobodys(key).as_str(), key);
        }
    }

    #[test]
    fn everybody_buys_for_themselves() {
        let (ana, luis) = (UsuarioId::new(1).unwrap(), UsuarioId::new(2).unwrap());
        assert_eq!(caller(7, 1).buyer(Buyer(None)), Ok(ana));
        assert_eq!(caller(7, 1).buyer(Buyer(Some(ana))), Ok(ana));
        let refused = caller(7, 1).buyer(Buyer(Some(luis))).unwrap_err();
        assert_eq!(refused.codigo, General::Forbidden);
        assert_eq!(Caller::Visitor.buyer(Buyer(Some(ana))).unwrap_err().codigo, General::Forbidden);
        assert_eq!(Caller::Anyone.buyer(Buyer(Some(ana))), Ok(ana));
        // where nobody logs in, a request that does not say it is refused before its handler
        let apart = |accounts: Accounts| {
            Buyer::absent_in(&TestRequest::default().app_data(accounts).to_http_request())
        };
        assert_eq!(apart(Accounts::off()), None);
        assert_eq!(caller(7, 1).reader(None), Ok(Some(ana)), "a list is narrowed to what is one's own");
        assert!(caller(7, 1).may_see(ana) && !caller(7, 1).may_see(luis) && !Caller::Visitor.may_see(ana));
    }
}
