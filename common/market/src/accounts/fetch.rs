//! The public keys of `usuarios`, for a service that is another process. While `usuarios` is away the last known ones count.

use super::token::KeySet;
use super::verifier::Verifier;
use http_kit::client::Client;
use http_kit::config::{InternalToken, ServiceUrl};
use http_kit::exit::StartError;
use reqwest::Method;
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two looks at the keys. A new key signs only after twice as long ([`super::token`]'s keeper in `usuarios`), so that it
/// is known everywhere by then.
pub const EVERY: Duration = Duration::from_secs(60);
/// Between two looks while none are known.
const SOON: Duration = Duration::from_secs(1);
/// After a token with an unknown key: whoever invents keys makes nobody ask more often than so.
const PAUSE: Duration = Duration::from_secs(5);

/// Keeps a verifier's keys up to date, for as long as the process runs. Must be called on the process's Tokio runtime.
///
/// # Errors
/// Where the HTTP client cannot be made.
pub fn keep(verifier: Verifier, usuarios: &ServiceUrl, token: &InternalToken) -> Result<(), StartError> {
    let client = Client::new("usuarios", usuarios, token)?;
    tokio::spawn(async move {
        let mut trouble = false;
        loop {
            let deadline = Instant::now() + SOON;
            let path = [".well-known", "jwks.json"];
            let answer =
                client.call::<KeySet, IgnoredAny>(Method::GET, &path, &[], None::<&()>, deadline).await;
            let known = match answer {
                Ok(Ok(set)) => {
                    verifier.set(set.public_keys());
                    trouble = false;
                    true
                }
                Ok(Err(_)) | Err(_) => {
                    if !trouble {
                        log::warn!(
                            "usuarios does not give its public keys (is it there, with --cuentas=si?): those known last count"
                        );
                    }
                    trouble = true;
                    !verifier.keys().is_empty()
                }
            };
            if known {
                sleep(PAUSE).await;
                let _asked_for = timeout(EVERY - PAUSE, verifier.missed()).await;
            } else {
                sleep(SOON).await;
            }
        }
    });
    Ok(())
}
