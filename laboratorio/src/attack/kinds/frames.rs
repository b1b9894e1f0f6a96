//! Answers in a frame of another site, or taken for what they are not.

use super::Arena;
use crate::attack::arena::SERVICES;
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut tried = 0;
    for service in SERVICES {
        let list = format!("/{}", service.name());
        let wrong = format!("{list}?nada=1");
        let picture = "/tokens/1/imagen";
        let drawing = "/tokens/2/imagen";
        let paths = [
            "/",
            "/docs/",
            "/docs/swagger-ui-bundle.js",
            "/openapi.json",
            &list,
            &wrong,
            "/no/hay",
            "/livez",
            "/readyz",
            "/metrics",
            "/hits",
            picture,
            drawing,
        ];
        for (method, path) in
            paths.iter().map(|path| ("GET", *path)).chain([("PUT", "/"), ("HEAD", "/docs/")])
        {
            let bytes = raw::request(method, path, &[("Connection", "close")]);
            let reply =
                raw::exchange(arena.public(service), &bytes).await.map_err(|e| format!("{path}: {e}"))?;
            let policy = reply.header("content-security-policy");
            let framed = policy.contains("frame-ancestors 'none'") || policy.contains("frame-ancestors 'self'")
                // a document in a sandbox has no site, and so nothing to click on
                || policy.contains("sandbox");
            seen.rule(framed, || format!("{} {method} {path} {}: {policy:?}", service.name(), reply.status));
            seen.rule(reply.header("x-content-type-options") == "nosniff", || format!("{path}: nosniff"));
            seen.rule(!reply.header("referrer-policy").is_empty(), || format!("{path}: referrer-policy"));
            tried += 1;
        }
    }
    seen.what = t!(
        "{} respuestas de toda clase con sus cabeceras",
        "{} answers of all sorts with their headers",
        tried
    );
    Ok(seen)
}
