//! A participant of purchases: a service that holds something for an attempt until the attempt is decided.
//!
//! `tokens` holds a token, `usuarios` holds money. The protocol is the same, and it is written once, here:
//!
//! | what | where |
//! | --- | --- |
//! | the names and types of each participant's calls | [`HoldRequest`], one for each kind of hold |
//! | the law that a participant's store keeps | [`HoldStore`] |
//! | the calls as routes of the internal port | [`routes()`] |
//! | the calls as a coordinator makes them | [`Participant`] and [`Holder`]; [`Http`] over the network, [`Local`] in process |
//!
//! One suite of tests (`testkit::participant`) holds both participants to the law: on files and in tables, in process and
//! over HTTP.

mod client;
mod routes;

pub use client::{Holder, Http, Local, Participant};
pub use routes::routes;

use crate::contract::{CargoRequest, Digest, HeldToken, Hold, Named, Refusal, ReservaRequest};
use crate::domain::Intento;
use crate::fields;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::validate::Fields;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// The body of the call that makes a hold. Its type stands for the kind of hold, and so it names the paths as well.
pub trait HoldRequest: Copy + fmt::Debug + PartialEq + Serialize + Send + Sync + 'static {
    /// The service that answers.
    const SERVICE: &'static str;
    /// The path of all holds, below `/interno`.
    const HOLDS: &'static str;
    /// The path of the hold of one `{intento}`.
    const HOLD: &'static str;
    /// The path of what a hold becomes when its attempt is bought.
    const CONFIRMATION: &'static str;
    /// What the caller learns of a hold.
    type Held: Copy + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// Reads the members of a body; `None` where one of them is wrong, which the fields then know.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// A *reserva*: `tokens` holds a token.
impl HoldRequest for ReservaRequest {
    const SERVICE: &'static str = "tokens";
    const HOLDS: &'static str = "/reservas";
    const HOLD: &'static str = "/reservas/{intento}";
    const CONFIRMATION: &'static str = "/reservas/{intento}/venta";
    type Held = HeldToken;

    fn read(fields: &mut Fields) -> Option<Self> {
        let token_id = fields.required("tokenId", fields::token_id);
        let usuario_id = fields.required("usuarioId", fields::usuario_id);
        Some(Self { token_id: token_id?, usuario_id: usuario_id? })
    }
}

/// A *cargo*: `usuarios` holds money.
impl HoldRequest for CargoRequest {
    const SERVICE: &'static str = "usuarios";
    const HOLDS: &'static str = "/cargos";
    const HOLD: &'static str = "/cargos/{intento}";
    const CONFIRMATION: &'static str = "/cargos/{intento}/confirmacion";
    type Held = ();

    fn read(fields: &mut Fields) -> Option<Self> {
        let usuario_id = fields.required("usuarioId", fields::usuario_id);
        let monto = fields.required("monto", fields::monto);
        let session = fields.optional("sesion", fields::session);
        Some(Self { usuario_id: usuario_id?, monto: monto?, session: session? })
    }
}

/// What there is under a key: made by this call, or by an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<T> {
    /// What there is.
    pub value: T,
    /// Whether this call made it.
    pub is_new: bool,
}

/// What a store answers to [`HoldStore::hold`].
pub type Held<S> = <<S as HoldStore>::Request as HoldRequest>::Held;

/// A store of holds: what makes a service a participant. Clones share it.
///
/// The law, under any number of callers in any number of processes:
///
/// 1. An attempt has one hold at most. The hold is pending until it is confirmed, for ever, or cancelled, which removes it.
///    An operation is done whole or not at all, and once it answers `Ok` it is durable.
/// 2. [`hold`](Self::hold) makes the hold once. The same request again finds it, pending or confirmed. Another request under
///    the same attempt is [`Refusal::ClaveReused`] and changes nothing. What is refused leaves no trace: the attempt may
///    hold later.
/// 3. [`confirm`](Self::confirm) can be repeated to the same effect. An attempt without a hold is
///    [`Refusal::IntentoNotFound`].
/// 4. [`cancel`](Self::cancel) can be repeated to the same effect, and succeeds where there is no hold. A confirmed hold is
///    [`Refusal::IntentoConfirmed`] and stays.
/// 5. [`pending`](Self::pending) lists the pending holds by their time, then by their attempt. The place after which a page
///    begins need not have a hold any more.
/// 6. [`settled`](Self::settled) lists the confirmed holds. The order of any two never changes. A page begins after an
///    attempt that has a hold here; any other attempt is [`Refusal::IntentoNotFound`], since a list that began anywhere
///    else would skip holds, or count them twice, and an audit would not notice.
/// 7. [`digest`](Self::digest) sums up the holds that were confirmed before the call. It lists the holds that the sum leaves
///    out: those that are pending, and those that were confirmed meanwhile. Sum and list are of one moment.
pub trait HoldStore: Clone + Send + Sync + 'static {
    /// What is held.
    type Request: HoldRequest;
    /// Why not.
    type Error: fmt::Display + Send;

    /// What a purchase may be told of an error; `None` where the trouble is this store's.
    fn refusal(error: &Self::Error) -> Option<Refusal>;

    /// Holds what is asked for, for an attempt.
    fn hold(
        &self,
        intento: Intento,
        request: Self::Request,
    ) -> impl Future<Output = Result<Recorded<Held<Self>>, Self::Error>> + Send;

    /// Settles the hold of a committed attempt.
    fn confirm(&self, intento: Intento) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes the hold of an aborted attempt back.
    fn cancel(&self, intento: Intento) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Holds that have been pending for `age` or longer by the store's clock: at most [`PAGE`](crate::contract::PAGE), after
    /// the time and attempt of a hold of the page before. A hold from the future counts as old: its clock was set back, and
    /// nobody should wait until the clock comes round again.
    fn pending(
        &self,
        age: TimeDelta,
        after: Option<(DateTime<Utc>, Intento)>,
    ) -> impl Future<Output = Result<Vec<Hold>, Self::Error>> + Send;

    /// Confirmed holds: at most [`PAGE`](crate::contract::PAGE), after an attempt of the page before.
    fn settled(&self, after: Option<Intento>) -> impl Future<Output = Result<Vec<Hold>, Self::Error>> + Send;

    /// This participant's side of the audit. Its cost does not grow with the history.
    fn digest(&self) -> impl Future<Output = Result<Digest, Self::Error>> + Send;

    /// What people call the user or token with this id, where there is one.
    fn name(&self, id: u64) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send;
}

/// The names of some ids, as far as there are any.
async fn names<S: HoldStore>(store: &S, ids: &[u64]) -> Result<Vec<Named>, S::Error> {
    let mut named = Vec::with_capacity(ids.len());
    for id in ids {
        named.extend(store.name(*id).await?.map(|nombre| Named { id: *id, nombre }));
    }
    Ok(named)
}
