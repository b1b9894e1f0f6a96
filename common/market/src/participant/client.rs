//! A participant as a coordinator calls it: over HTTP, or in the same process.

use super::{HoldRequest, HoldStore};
use crate::clock;
use crate::contract::{Answer, Digest, Hold, Named, Refusal};
use crate::domain::Intento;
use async_trait::async_trait;
use chrono::TimeDelta;
use http_kit::client::{Client, Unavailable};
use http_kit::config::{InternalToken, ServiceUrl};
use http_kit::exit::StartError;
use reqwest::Method;
use std::marker::PhantomData;
use tokio::time::{Instant, timeout_at};

/// What every participant does, whatever it holds: the law of [`HoldStore`], from outside. Each call can be repeated without
/// harm and gives up at its deadline; whether it took effect is then not known.
#[async_trait]
pub trait Participant: Send + Sync {
    /// Settles a hold for good.
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()>;
    /// Takes a hold back; where there is none, it was taken back already.
    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()>;
    /// Holds that have been pending for this long by the participant's clock, oldest first: a page after a hold of the page
    /// before.
    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>>;
    /// Settled holds in an order that stays: a page after an attempt of the page before.
    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>>;
    /// Its side of the audit.
    async fn digest(&self, deadline: Instant) -> Answer<Digest>;
    /// The names of at most [`NAMES`](crate::contract::NAMES) ids, as far as there are such users or tokens: for people, so a
    /// participant need not know any.
    async fn names(&self, _ids: &[u64], _deadline: Instant) -> Answer<Vec<Named>> {
        Ok(Ok(Vec::new()))
    }
}

/// A participant that holds what an `R` asks for.
#[async_trait]
pub trait Holder<R: HoldRequest>: Participant {
    /// Holds it for an attempt.
    async fn hold(&self, intento: &Intento, request: R, deadline: Instant) -> Answer<R::Held>;
}

/// A participant that is reached by its internal port.
#[derive(Clone, Debug)]
pub struct Http<R> {
    client: Client,
    holds: PhantomData<fn(R)>,
}

/// No body.
const NONE: Option<&()> = None;

impl<R: HoldRequest> Http<R> {
    /// The service that holds what an `R` asks for, at a URL.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub fn at(url: &ServiceUrl, token: &InternalToken) -> Result<Self, StartError> {
        Ok(Self { client: Client::new(R::SERVICE, url, token)?, holds: PhantomData })
    }

    async fn page(&self, query: &[(&str, String)], deadline: Instant) -> Answer<Vec<Hold>> {
        self.client.call(Method::GET, &segments(R::HOLDS, ""), query, NONE, deadline).await
    }
}

/// What a participant says to the end of a hold. It can refuse an end for what was decided before, and never for want of room:
/// with a full store it is as good as away, and is told again later.
fn ended(service: &'static str, answer: Answer<()>) -> Answer<()> {
    match answer {
        Ok(Err(full @ Refusal::StoreFull)) => {
            Err(Unavailable { service, cause: full.to_string(), answered: true })
        }
        other => other,
    }
}

/// The segments of one of the paths of [`HoldRequest`], for an attempt.
fn segments<'a>(pattern: &'static str, intento: &'a str) -> Vec<&'a str> {
    let below = pattern.split('/').skip(1);
    let filled = below.map(|segment| if segment == "{intento}" { intento } else { segment });
    std::iter::once("interno").chain(filled).collect()
}

#[async_trait]
impl<R: HoldRequest> Participant for Http<R> {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        let intento = intento.to_string();
        let path = segments(R::CONFIRMATION, &intento);
        ended(R::SERVICE, self.client.call(Method::PUT, &path, &[], NONE, deadline).await)
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        let intento = intento.to_string();
        let path = segments(R::HOLD, &intento);
        ended(R::SERVICE, self.client.call(Method::DELETE, &path, &[], NONE, deadline).await)
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>> {
        let mut query =
            vec![("pendientes", "true".to_owned()), ("antes", age.num_milliseconds().to_string())];
        if let Some(after) = after {
            query.push(("despues", after.intento.to_string()));
            query.push(("desde", after.desde.timestamp_millis().to_string()));
        }
        self.page(&query, deadline).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>> {
        let mut query = vec![("pendientes", "false".to_owned())];
        query.extend(after.map(|i| ("despues", i.to_string())));
        self.page(&query, deadline).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        self.client.call(Method::GET, &["interno", "resumen"], &[], NONE, deadline).await
    }

    async fn names(&self, ids: &[u64], deadline: Instant) -> Answer<Vec<Named>> {
        let ids = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        self.client.call(Method::GET, &["interno", "nombres"], &[("ids", ids)], NONE, deadline).await
    }
}

#[async_trait]
impl<R: HoldRequest> Holder<R> for Http<R> {
    async fn hold(&self, intento: &Intento, request: R, deadline: Instant) -> Answer<R::Held> {
        let intento = intento.to_string();
        self.client.call(Method::PUT, &segments(R::HOLD, &intento), &[], Some(&request), deadline).await
    }
}

/// A participant in the same process: its store, without the network between.
#[derive(Clone, Debug)]
pub struct Local<S>(pub S);

impl<S: HoldStore> Local<S> {
    /// What the store says, in the words of the contract, and at the latest at the deadline.
    async fn answer<T>(
        deadline: Instant,
        call: impl Future<Output = Result<T, S::Error>> + Send,
    ) -> Answer<T> {
        let service = S::Request::SERVICE;
        let unavailable = |cause: String, answered| Unavailable { service, cause, answered };
        match timeout_at(deadline, call).await {
            Ok(Ok(value)) => Ok(Ok(value)),
            Ok(Err(e)) => S::refusal(&e).map(Err).ok_or_else(|| unavailable(e.to_string(), true)),
            Err(_) => Err(unavailable("it did not answer in time".to_owned(), false)),
        }
    }
}

#[async_trait]
impl<S: HoldStore> Participant for Local<S> {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        ended(S::Request::SERVICE, Self::answer(deadline, self.0.confirm(intento.clone())).await)
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        ended(S::Request::SERVICE, Self::answer(deadline, self.0.cancel(intento.clone())).await)
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>> {
        let after = after.map(|t| (t.desde, t.intento.clone()));
        Self::answer(deadline, self.0.pending(age, after)).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>> {
        Self::answer(deadline, self.0.settled(after.cloned())).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        Self::answer(deadline, async { Ok(self.0.digest().await?.aged(clock::now())) }).await
    }

    async fn names(&self, ids: &[u64], deadline: Instant) -> Answer<Vec<Named>> {
        Self::answer(deadline, super::names(&self.0, ids)).await
    }
}

#[async_trait]
impl<S: HoldStore> Holder<S::Request> for Local<S> {
    async fn hold(
        &self,
        intento: &Intento,
        request: S::Request,
        deadline: Instant,
    ) -> Answer<<S::Request as HoldRequest>::Held> {
        let held = async { Ok(self.0.hold(intento.clone(), request).await?.value) };
        Self::answer(deadline, held).await
    }
}
