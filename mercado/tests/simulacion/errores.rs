//! Bugs, to show that the simulation finds them: each is made outside of the product, around the processes or their disks,
//! and each is a mistake that somebody has made in such a protocol.

use crate::mundo::World;
use crate::proceso::Does;
use crate::red::Remote;
use crate::servir::{Call, Reply};
use chrono::TimeDelta;
use futures_util::future::Either;
use journal::simulation::Disk;
use market::contract::Try;
use market::domain::Intento;
use mercado::local::{LocalTokens, LocalUsuarios};
use std::sync::Arc;
use tokio::time::Instant;
use transacciones::domain::{Compra, Palabra};
use transacciones::participants::Participant;

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
    /// Nobody looks for tries that were left behind.
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

    /// What a coordinator does once it has a list of pending tries, before recovery does.
    pub async fn pending(self, remote: &Remote, page: &mut Vec<Try>, deadline: Instant) {
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
                .palabra(&orphan.intento.clave)
                .await
                .is_ok_and(|palabra| matches!(palabra, Palabra::Comprado(_)));
            if !bought {
                let _ = remote.cancel(&orphan.intento, deadline).await;
            }
        }
    }

    pub async fn tokens(self, local: &LocalTokens, call: Call) -> Call {
        if self == Self::LeaseRunsOut {
            for old in local.0.pendientes(TimeDelta::milliseconds(500), None).await.unwrap_or_default() {
                let _ = local.0.cancelar(old.intento).await;
            }
        }
        self.fence(call)
    }

    pub async fn usuarios(
        self,
        world: &Arc<World>,
        local: &LocalUsuarios,
        call: Call,
    ) -> Either<Call, Reply> {
        let call = self.fence(call);
        match (self, call) {
            (Self::ConfirmsBeforeCommit, Call::Charge(intento, pedido)) => {
                if local.0.cargar(intento.clone(), pedido).await.is_ok() {
                    let _ = local.0.confirmar(intento.clone()).await;
                }
                Either::Left(Call::Charge(intento, pedido))
            }
            (Self::AnswersBeforeStore, Call::Charge(intento, pedido)) => {
                let service = local.0.clone();
                let rich = service.usuario(pedido.usuario_id).await.is_ok_and(|u| u.saldo >= pedido.monto);
                if !rich {
                    return Either::Left(Call::Charge(intento, pedido));
                }
                world.spawn(async move {
                    let _ = service.cargar(intento, pedido).await;
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
            compra.clave_del_cliente = false;
        }
    }

    fn fence(self, call: Call) -> Call {
        if self != Self::NoAttemptFence {
            return call;
        }
        let first = |intento: Intento| Intento { numero: 1, ..intento };
        match call {
            Call::Reserve(intento, pedido) => Call::Reserve(first(intento), pedido),
            Call::Charge(intento, pedido) => Call::Charge(first(intento), pedido),
            Call::Confirm(intento) => Call::Confirm(first(intento)),
            Call::Cancel(intento) => Call::Cancel(first(intento)),
            call => call,
        }
    }
}
