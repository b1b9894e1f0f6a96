//! Who asks, and the check that stands before every handler of a route table ([`crate::routes::Methods`]). What may be done by
//! whom is not said here: a product puts an [`Access`] among the data of its port.
//!
//! The check comes before the request is read, so that nobody makes the server read a body that is refused anyway.

use crate::problem::{General, Problem, Text};
use crate::validate::query_name;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, FromRequest, Handler, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Map, Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

/// The most bytes of a token: a longer one is refused unread.
pub const MAX_TOKEN: usize = 2048;
/// Names of a query's parameters in which people put a token (RFC 6750, 2.3). An address goes into histories and logs.
const IN_THE_QUERY: [&str; 2] = ["access_token", "token"];
/// The client's address, where a proxy says it.
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// How the client's request came to the proxy.
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The pattern that a request's path matched, among its app data: `match_pattern` would match all of them again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern(pub(crate) &'static str);

/// Whether a request may be answered; where somebody has to be asked first, their answer.
pub type Verdict = Result<Option<LocalBoxFuture<'static, Result<(), Problem>>>, Problem>;
type Check = dyn Fn(&HttpRequest, &'static str) -> Verdict + Send + Sync;

/// Decides before each handler whether a request may be answered, by the request and the pattern of its route.
#[derive(Clone)]
pub struct Access(Option<Arc<Check>>);

impl Access {
    /// Lets everybody do everything.
    pub fn open() -> Self {
        Self(None)
    }

    /// Asks `check`.
    pub fn by(check: impl Fn(&HttpRequest, &'static str) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(check)))
    }
}

/// Whether a request may be answered. Where nobody said who decides, it may not.
fn permit(req: &HttpRequest) -> Verdict {
    let Some(access) = req.app_data::<Access>() else {
        return Err(Problem::internal("a route of a port that does not say who may use it"));
    };
    let Some(check) = &access.0 else { return Ok(None) };
    let Some(Pattern(pattern)) = req.app_data::<Pattern>() else {
        return Err(Problem::internal("a route without a pattern"));
    };
    check(req, pattern)
}

/// A handler behind the check.
#[derive(Clone)]
pub(crate) struct Guarded<F>(pub(crate) F);

/// What a handler takes, of a request that may be answered.
pub(crate) struct Permitted<A>(A);

impl<F: Handler<A>, A> Handler<Permitted<A>> for Guarded<F> {
    type Output = F::Output;
    type Future = F::Future;

    fn call(&self, Permitted(args): Permitted<A>) -> F::Future {
        self.0.call(args)
    }
}

type Mapped<A> =
    Map<<A as FromRequest>::Future, fn(Result<A, <A as FromRequest>::Error>) -> Result<Permitted<A>, Error>>;

impl<A: FromRequest> FromRequest for Permitted<A> {
    type Error = Error;
    type Future =
        Either<Either<Ready<Result<Self, Error>>, Mapped<A>>, LocalBoxFuture<'static, Result<Self, Error>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        match permit(req) {
            Err(problem) => Either::Left(Either::Left(ready(Err(problem.into())))),
            Ok(None) => {
                let wrapped: fn(Result<A, A::Error>) -> Result<Self, Error> =
                    |args| args.map(Permitted).map_err(Into::into);
                Either::Left(Either::Right(A::from_request(req, payload).map(wrapped)))
            }
            Ok(Some(asked)) => {
                let (req, mut payload) = (req.clone(), payload.take());
                Either::Right(Box::pin(async move {
                    asked.await?;
                    A::from_request(&req, &mut payload).await.map(Permitted).map_err(Into::into)
                }))
            }
        }
    }
}

/// How a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In `Authorization: Bearer`.
    Header,
    /// In a cookie, which a browser sends by itself: also where another site's page makes it write.
    Cookie,
}

/// The token of a request, and how it came; `None` where there is none. `cookie` is the name of the cookie.
///
/// # Errors
/// 401 `no-autenticado` for more than one token, for one in the query, and for a header that is no `Bearer`.
pub fn credential<'r>(req: &'r HttpRequest, cookie: &str) -> Result<Option<(Carrier, &'r str)>, Problem> {
    let in_query = |pair: &str| IN_THE_QUERY.contains(&query_name(pair).as_str());
    if req.query_string().split('&').any(in_query) {
        return Err(not_authenticated(Text::new(
            "El token no va en la dirección, que se guarda y se registra: envíe Authorization: Bearer.",
            "The token does not go into the address, which is kept and logged: send Authorization: Bearer.",
        )));
    }
    let (header, cookie) = (bearer(req.headers())?, cookie_value(req.headers(), cookie)?);
    let (carrier, token) = match (header, cookie) {
        (Some(header), Some(cookie)) if header != cookie => {
            return Err(not_authenticated(Text::new(
                "La cabecera y la cookie traen sesiones distintas.",
                "The header and the cookie have different sessions.",
            )));
        }
        (Some(token), _) => (Carrier::Header, token),
        (None, Some(token)) => (Carrier::Cookie, token),
        (None, None) => return Ok(None),
    };
    if token.len() > MAX_TOKEN {
        return Err(invalid_token());
    }
    Ok(Some((carrier, token)))
}

/// 401 `no-autenticado`.
pub fn not_authenticated(detail: Text) -> Problem {
    Problem::new(General::NotAuthenticated, detail)
}

/// 401 for a token that does not count, for whatever reason.
pub fn invalid_token() -> Problem {
    not_authenticated(Text::new(
        "El token no vale o ha caducado; inicie otra sesión.",
        "The token is not valid or has expired; begin another session.",
    ))
}

/// 403 `prohibido`.
pub fn forbidden(detail: Text) -> Problem {
    Problem::new(General::Forbidden, detail)
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    match (token, values.next()) {
        (Some((scheme, token)), None) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
            Ok(Some(token))
        }
        _ => Err(not_authenticated(Text::new(
            "Envíe una sola cabecera Authorization, de la forma Bearer TOKEN.",
            "Send one Authorization header, of the form Bearer TOKEN.",
        ))),
    }
}

/// A cookie's value. Two of one name are refused: which of them counts would be anybody's guess.
fn cookie_value<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, Problem> {
    let pairs =
        headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name);
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(not_authenticated(Text::new(
            "La cookie de sesión viene dos veces.",
            "The session's cookie comes twice.",
        ))),
        (found, _) => Ok(found.map(|(_, value)| value).filter(|value| !value.is_empty())),
    }
}

/// Which site's page sends a request. Of two, and of one that is no text, it is a name that no server has.
pub(crate) fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::ORIGIN);
    let value = values.next()?;
    Some(if values.next().is_some() { "?" } else { value.to_str().unwrap_or("?") })
}

/// Refuses a write that a page of another site may have sent. A browser says in `Origin` whose page writes, and in
/// `Sec-Fetch-Site` whether that is the same site; who says neither is no browser, and has no use for a cookie.
///
/// # Errors
/// 403 `origen-no-permitido`.
pub fn check_origin(req: &HttpRequest) -> Result<(), Problem> {
    let text = |name| req.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let own = match (origin(req.headers()), text(header::HOST)) {
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, from)| is_same_host(from, host))
        }
        (Some(_), None) => false,
        (None, _) => text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    };
    if req.method().is_safe() || own {
        return Ok(());
    }
    let detail = Text::new(
        "Con la cookie de sesión solo escribe la página de este sitio; un programa envía Authorization: Bearer.",
        "With the session's cookie only this site's page writes; a program sends Authorization: Bearer.",
    );
    Err(Problem::new(General::ForeignOrigin, detail))
}

/// Whether `from`, of an origin, is `host`. A proxy may take the port away from `Host`; to a cookie all ports are one.
fn is_same_host(from: &str, host: &str) -> bool {
    let has_port = |host: &str| host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let bare = if has_port(host) { from } else { without_port(from) };
    bare.eq_ignore_ascii_case(host)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The client's address: of the connection, or where a proxy of ours stands before this server, the last address of its
/// `X-Forwarded-For`, which the proxy has added itself. Of an IPv6 address the network counts, since a client has all of it.
pub fn client_address(req: &HttpRequest, behind_proxy: bool) -> Option<IpAddr> {
    let forwarded = || {
        let last = req.headers().get_all(&X_FORWARDED_FOR).last()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
    };
    let said = if behind_proxy { forwarded() } else { None };
    let address = said.or_else(|| req.peer_addr().map(|peer| peer.ip()))?;
    Some(match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four => four,
    })
}

/// Whether the client's request is encrypted as far as a proxy of ours, which says so.
pub fn is_encrypted(req: &HttpRequest, behind_proxy: bool) -> bool {
    behind_proxy && req.headers().get(&X_FORWARDED_PROTO).is_some_and(|said| said == "https")
}

/// The method of a route's rule: HEAD is asked for as GET is.
pub fn method(req: &HttpRequest) -> &Method {
    if *req.method() == Method::HEAD { &Method::GET } else { req.method() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn asked(headers: &[(&'static str, &str)], query: &str) -> HttpRequest {
        let mut request = TestRequest::with_uri(&format!("/notes?{query}"));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        request.to_http_request()
    }

    #[test]
    fn one_token_in_one_place() {
        let found = |headers: &[(&'static str, &str)], query: &str| {
            let req = asked(headers, query);
            credential(&req, "s")
                .map(|c| c.map(|(carrier, token)| (carrier, token.to_owned())))
                .map_err(|p| p.codigo)
        };
        let header = |token: &str| Ok(Some((Carrier::Header, token.to_owned())));
        assert_eq!(found(&[], "a=1"), Ok(None));
        assert_eq!(found(&[("authorization", "Bearer abc")], ""), header("abc"));
        assert_eq!(found(&[("authorization", "bearer abc")], ""), header("abc"));
        assert_eq!(found(&[("cookie", "a=b; s=xyz")], ""), Ok(Some((Carrier::Cookie, "xyz".to_owned()))));
        assert_eq!(found(&[("cookie", "s=abc"), ("authorization", "Bearer abc")], ""), header("abc"));
        assert_eq!(found(&[("cookie", "s=; other=1")], ""), Ok(None));
        let long = format!("Bearer {}", "x".repeat(8000));
        for (headers, query) in [
            (&[("authorization", "Bearer a"), ("authorization", "Bearer a")][..], ""),
            (&[("authorization", "Basic YTpi")], ""),
            (&[("authorization", "Bearer")], ""),
            (&[("authorization", "Bearer ")], ""),
            (&[("authorization", &long)], ""),
            (&[("cookie", "s=a"), ("authorization", "Bearer b")], ""),
            (&[("cookie", "s=a; s=b")], ""),
            (&[("cookie", "s=a"), ("cookie", "s=a")], ""),
            (&[], "access_token=abc"),
            (&[("authorization", "Bearer abc")], "a=1&token=abc"),
            (&[], "%74oken=abc"),
            (&[], "a&%61cces%73%5Ftoken"),
        ] {
            let refused = found(headers, query).expect_err("refused");
            assert_eq!(refused, General::NotAuthenticated, "{headers:?} {query}");
        }
    }

    #[test]
    fn a_write_by_cookie_comes_from_the_sites_own_page() {
        let allowed = |headers: &[(&'static str, &str)]| {
            let mut request = TestRequest::post().uri("/notes");
            for (name, value) in headers {
                request = request.append_header((*name, *value));
            }
            check_origin(&request.to_http_request()).is_ok()
        };
        for own in [
            &[("host", "shop.example"), ("origin", "https://shop.example")][..],
            &[("host", "shop.example"), ("origin", "https://shop.example:8443")],
            &[("host", "localhost:8080"), ("origin", "http://localhost:8080")],
            &[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")],
            &[("host", "[::1]"), ("origin", "http://[::1]:8080")],
            &[("host", "shop.example"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(allowed(own), "{own:?}");
        }
        for other in [
            &[("host", "shop.example")][..],
            &[("host", "shop.example"), ("origin", "null")],
            &[("host", "shop.example"), ("origin", "https://evil.example")],
            &[("host", "shop.example"), ("origin", "https://shop.example.evil.example")],
            &[("host", "localhost:8080"), ("origin", "http://localhost:9090")],
            &[("host", "shop.example"), ("sec-fetch-site", "cross-site")],
            &[
                ("host", "shop.example"),
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("origin", "https://shop.example")],
            &[
                ("host", "shop.example"),
                ("origin", "https://shop.example"),
                ("origin", "https://evil.example"),
            ],
            &[("host", "shop.example"), ("origin", "\u{f1}"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!allowed(other), "{other:?}");
        }
    }

    #[test]
    fn an_address_is_what_our_own_proxy_says() {
        let of = |headers: &[(&'static str, &str)], behind: bool| {
            let mut request = TestRequest::default().peer_addr("10.0.0.9:80".parse().unwrap());
            for (name, value) in headers {
                request = request.append_header((*name, *value));
            }
            client_address(&request.to_http_request(), behind).unwrap().to_string()
        };
        let forged = &[("x-forwarded-for", "1.2.3.4, 5.6.7.8")];
        assert_eq!(of(forged, false), "10.0.0.9");
        assert_eq!(of(forged, true), "5.6.7.8", "what the client wrote stands before it");
        assert_eq!(of(&[], true), "10.0.0.9");
        assert_eq!(of(&[("x-forwarded-for", "nobody")], true), "10.0.0.9");
        assert_eq!(of(&[("x-forwarded-for", "2001:db8:1:2:3:4:5:6")], true), "2001:db8:1:2::");
    }
}
