//! Bugs, to show that the simulation finds them: each is made outside of the product, around the processes or their disks,
//! and each is a mistake that somebody has made in such a protocol.

use crate::network::Remote;
use crate::process::Does;
use crate::serving::{Call, Reply};
use crate::world::World;
use chrono::TimeDelta;
use futures_util::future::Either;
use journal::simulation::Disk;
use market::contract::Hold;
use market::domain::Intento;
use market::participant::{HoldStore, Local, Participant};
use std::sync::Arc;
use tokio::time::Instant;
use transacciones::domain::{Compra, Word};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The coordinator's store answers before it syncs.
    SyncLies,
    /// Recovery cancels what is not bought, and the abort comes after.
    CancelsBeforeAbort,
    /// The participants know the clave and not the attempt: what was meant for one attempt is done to the next.
    NoAttemptFence,
    /// `usuarios` takes a debit for final when it is made.
    ConfirmsBeforeCommit,
    /// `tokens` lets a reservation go by its own clock, without asking.
    LeaseRunsOut,
    /// `usuarios` answers a debit before its store does.
    AnswersBeforeStore,
    /// A repeated abono is another one.
    DepositWithoutKey,
    /// A request that was overtaken goes on with the next attempt.
    GoesOnAfterOvertaken,
    /// Nobody looks for holds that were left behind.
    NoRecovery,
    /// A refusal that held nothing is not made durable, also where the client chose the key.
    RefusalNotFenced,
}

impl Bug {
    pub const ALL: [Self; 10] = [
        Self::SyncLies,
        Self::CancelsBeforeAbort,
        Self::NoAttemptFence,
        Self::ConfirmsBeforeCommit,
        Self::LeaseRunsOut,
        Self::AnswersBeforeStore,
        Self::DepositWithoutKey,
        Self::GoesOnAfterOvertaken,
        Self::NoRecovery,
        Self::RefusalNotFenced,
    ];

    pub fn disks(self, disks: &[Disk; 3]) {
        if self == Self::SyncLies {
            disks[2].lie_about_syncs();
        }
    }

    /// What a coordinator does once it has a list of pending holds, before recovery does.
    pub async fn pending(self, remote: &Remote, page: &mut Vec<Hold>, deadline: Instant) {
        if self == Self::NoRecovery {
            page.clear();
        }
        if self != Self::CancelsBeforeAbort {
            return;
        }
        for orphan in page {
            let Some(life) = remote.world.slots[remote.from.slot].life() else { return };
            let Does::Transacciones(service, ..) = &life.does else { return };
            let bought = service
                .store()
                .word(&orphan.intento.clave)
                .await
                .is_ok_and(|word| matches!(word, Word::Bought(_)));
            if !bought {
                let _ = remote.cancel(&orphan.intento, deadline).await;
            }
        }
    }

    pub async fn tokens(self, local: &Local<tokens::store::Store>, call: Call) -> Call {
        if self == Self::LeaseRunsOut {
            for old in local.0.pending(TimeDelta::milliseconds(500), None).await.unwrap_or_default() {
                let _ = local.0.cancel(old.intento).await;
            }
        }
        self.fence(call)
    }

    pub async fn usuarios(
        self,
        world: &Arc<World>,
        local: &Local<usuarios::store::Store>,
        call: Call,
    ) -> Either<Call, Reply> {
        let call = self.fence(call);
        match (self, call) {
            (Self::ConfirmsBeforeCommit, Call::Charge(intento, request)) => {
                if local.0.hold(intento.clone(), request).await.is_ok() {
                    let _ = local.0.confirm(intento.clone()).await;
                }
                Either::Left(Call::Charge(intento, request))
            }
            (Self::AnswersBeforeStore, Call::Charge(intento, request)) => {
                let service = local.0.clone();
                let rich = service.usuario(request.usuario_id).await.is_ok_and(|u| u.saldo >= request.monto);
                if !rich {
                    return Either::Left(Call::Charge(intento, request));
                }
                world.spawn(async move {
                    let _ = service.hold(intento, request).await;
                });
                Either::Right(Reply::Yes(serde_json::Value::Null))
            }
            (Self::DepositWithoutKey, Call::Deposit(id, monto, clave)) => {
                let clave = format!("{clave}~{}", world.rng(|rng| rng.next())).parse().unwrap();
                Either::Left(Call::Deposit(id, monto, clave))
            }
            (_, call) => Either::Left(call),
        }
    }

    /// What a coordinator makes of a request before it begins.
    pub fn compra(self, compra: &mut Compra) {
        if self == Self::RefusalNotFenced {
            compra.clave_from_client = false;
        }
    }

    fn fence(self, call: Call) -> Call {
        if self != Self::NoAttemptFence {
            return call;
        }
        let first = |intento: Intento| Intento { numero: 1, ..intento };
        match call {
            Call::Reserve(intento, request) => Call::Reserve(first(intento), request),
            Call::Charge(intento, request) => Call::Charge(first(intento), request),
            Call::Confirm(intento) => Call::Confirm(first(intento)),
            Call::Cancel(intento) => Call::Cancel(first(intento)),
            call => call,
        }
    }
}
