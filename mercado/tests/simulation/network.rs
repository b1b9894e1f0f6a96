//! The network: every call between processes, and between clients and processes, is a message that may be lost, slow, late,
//! repeated or cut off, and so may its answer. The bodies are those of the contract; the repetition of a call until its
//! deadline is the product's own.

use crate::account::Seen;
use crate::process::{Life, Slot, Vital};
use crate::serving::{Call, Reply};
use crate::world::{Endpoint, Service, World};
use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::future::{Either, select};
use http_kit::client::{Missed, repeat};
use market::contract::{Answer, CargoRequest, Digest, HeldToken, Hold, ReservaRequest};
use market::domain::Intento;
use market::participant::{Holder, Participant};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// A participant as one process of `transacciones` reaches it.
pub struct Remote {
    pub world: Arc<World>,
    pub from: Arc<Vital>,
    pub to: Service,
}

impl Remote {
    async fn call<T: DeserializeOwned>(&self, call: Call, deadline: Instant) -> Answer<T> {
        self.stay().await;
        let world = &self.world;
        let jitter = || world.rng(|rng| rng.fraction());
        let once = || async {
            world.slots[self.from.slot].thaw().await;
            let answer = world.send(Endpoint::Replica(self.from.slot), self.to, call.clone()).await;
            match answer.map_err(|_| "the connection was closed".to_owned())? {
                Reply::Yes(body) => serde_json::from_value(body).map(Ok).map_err(|e| e.to_string().into()),
                Reply::No(refusal) => Ok(Err(refusal)),
                Reply::Purchase(_) => Err("a purchase's answer".to_owned().into()),
                Reply::Trouble(status) => Err(Missed::from(status)),
            }
        };
        let answer = repeat(self.to.name(), deadline, jitter, once).await;
        self.stay().await;
        answer
    }

    /// What a dead process was about to do next does not happen.
    async fn stay(&self) {
        self.world.slots[self.from.slot].thaw().await;
        if !self.world.is_alive(&self.from) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Participant for Remote {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        self.call(Call::Confirm(intento.clone()), deadline).await
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        self.call(Call::Cancel(intento.clone()), deadline).await
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>> {
        let after = after.map(|t| (t.desde, t.intento.clone()));
        let mut page: Answer<Vec<Hold>> = self.call(Call::Pending(age, after), deadline).await;
        if let (Some(bug), Ok(Ok(page))) = (self.world.bug, &mut page) {
            bug.pending(self, page, deadline).await;
        }
        page
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>> {
        self.call(Call::Settled(after.cloned()), deadline).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        self.call(Call::Digest, deadline).await
    }
}

#[async_trait]
impl Holder<ReservaRequest> for Remote {
    async fn hold(&self, intento: &Intento, request: ReservaRequest, deadline: Instant) -> Answer<HeldToken> {
        self.call(Call::Reserve(intento.clone(), request), deadline).await
    }
}

#[async_trait]
impl Holder<CargoRequest> for Remote {
    async fn hold(&self, intento: &Intento, request: CargoRequest, deadline: Instant) -> Answer<()> {
        self.call(Call::Charge(intento.clone(), request), deadline).await
    }
}

/// How a message, or its answer, fares.
struct Fate {
    lost: bool,
    reset: bool,
    delay: Duration,
}

impl World {
    fn fate(&self) -> Fate {
        if self.calm() {
            return Fate { lost: false, reset: false, delay: Duration::from_millis(1) };
        }
        let s = &self.settings;
        self.rng(|rng| Fate {
            lost: rng.happens(s.lost),
            reset: rng.happens(s.reset),
            delay: if rng.happens(s.late) {
                rng.millis(500, 8000)
            } else if rng.happens(s.slow) {
                rng.millis(20, 600)
            } else {
                rng.millis(0, s.latency)
            },
        })
    }

    /// Sends a message, and sometimes sends it again. What comes back is the answer, if it does; a closed channel is a
    /// closed connection.
    pub fn send(self: &Arc<Self>, from: Endpoint, to: Service, call: Call) -> oneshot::Receiver<Reply> {
        let (reply, answered) = oneshot::channel();
        let fate = self.fate();
        if !self.calm() && self.rng(|rng| rng.happens(self.settings.repeated)) {
            let delay =
                self.rng(|rng| if rng.happens(300) { rng.millis(100, 8000) } else { rng.millis(0, 20) });
            let call = match &call {
                // to the history it is a request of its own
                Call::Buy(sending) => {
                    let mut history = self.history.lock().unwrap();
                    let compra = history.sendings[*sending].compra.clone();
                    Call::Buy(history.send(compra))
                }
                _ => call.clone(),
            };
            self.count(Seen::Repeated);
            self.post(from, to, call, None, delay);
        }
        if fate.lost {
            self.count(Seen::RequestLost);
            self.keep(reply);
        } else if fate.reset {
            self.count(Seen::ConnectionRefused);
        } else {
            if fate.delay > Duration::from_millis(self.settings.latency) {
                self.count(Seen::Slow);
            }
            self.post(from, to, call, Some(reply), fate.delay);
        }
        answered
    }

    fn keep(&self, reply: oneshot::Sender<Reply>) {
        self.limbo.lock().unwrap().push(Box::new(reply));
    }

    fn post(
        self: &Arc<Self>,
        from: Endpoint,
        to: Service,
        call: Call,
        reply: Option<oneshot::Sender<Reply>>,
        delay: Duration,
    ) {
        let number = {
            let mut flying = self.flying.lock().unwrap();
            let number = flying.last_key_value().map_or(0, |(last, _)| last + 1);
            flying.insert(number, (from, to, call.clone()));
            number
        };
        let world = Arc::clone(self);
        self.spawn(async move {
            world.deliver(from, to, call, reply, delay).await;
            world.flying.lock().unwrap().remove(&number);
        });
    }

    async fn deliver(
        self: &Arc<Self>,
        from: Endpoint,
        to: Service,
        call: Call,
        mut reply: Option<oneshot::Sender<Reply>>,
        delay: Duration,
    ) {
        let there: Vec<u32> = self.slots_of(to).filter_map(|slot| Some(slot.vital()?.pid)).collect();
        if delay > Duration::ZERO {
            sleep(delay).await;
        }
        if self.is_cut(from, to) {
            if let Some(reply) = reply {
                self.keep(reply);
            }
            return;
        }
        let listens = |life: &Arc<Life>| !life.vital.leaving.load(Ordering::Relaxed);
        let running: Vec<Arc<Life>> = self.slots_of(to).filter_map(Slot::life).filter(listens).collect();
        if running.is_empty() {
            return self.count(Seen::ConnectionRefused);
        }
        let life = &running[usize::try_from(self.rng(|rng| rng.below(running.len() as u64))).unwrap()];
        self.slots[life.vital.slot].thaw().await;
        if !self.is_alive(&life.vital) {
            return;
        }
        let given_up = reply.as_ref().is_some_and(oneshot::Sender::is_closed);
        if given_up {
            self.count(Seen::Late);
        }
        if !there.contains(&life.vital.pid) {
            self.count(Seen::LateToAnother);
        }
        let slot = &self.slots[life.vital.slot];
        self.note(format_args!("{from:?} -> {slot}: {call:?}{}", if given_up { ", given up" } else { "" }));
        let work = life.vital.lives_through(life.clock.clone().scope(self.serve(life, call)));
        let hangs_up = !self.calm() && self.rng(|rng| rng.happens(self.settings.hang_up));
        let answer = match reply.as_mut().filter(|_| hangs_up) {
            // a server drops a request whose client hangs up
            Some(reply) => match select(pin!(work), pin!(reply.closed())).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return self.count(Seen::HungUp),
            },
            None => work.await,
        };
        let Some(answer) = answer else { return };
        self.slots[life.vital.slot].thaw().await;
        if !self.is_alive(&life.vital) {
            return;
        }
        self.note(format_args!("{slot} -> {from:?}: {answer:?}"));
        let Some(reply) = reply else { return };
        self.answer(from, to, answer, reply).await;
    }

    async fn answer(&self, from: Endpoint, to: Service, answer: Reply, reply: oneshot::Sender<Reply>) {
        let fate = self.fate();
        if fate.reset {
            self.count(Seen::AnswerLost);
            return;
        }
        if fate.delay > Duration::ZERO {
            sleep(fate.delay).await;
        }
        if fate.lost || self.is_cut(from, to) {
            self.count(Seen::AnswerLost);
            return self.keep(reply);
        }
        let answer = if !self.calm() && self.rng(|rng| rng.happens(self.settings.unreadable)) {
            self.count(Seen::Unreadable);
            self.rng(|rng| match rng.below(3) {
                0 => Reply::Trouble("status 502".to_owned()),
                1 => Reply::Trouble("status 404 of some proxy".to_owned()),
                _ => Reply::Yes(Value::String("<html>".to_owned())),
            })
        } else {
            answer
        };
        let _ = reply.send(answer);
    }

    fn is_cut(&self, from: Endpoint, to: Service) -> bool {
        self.cuts.lock().unwrap().contains(&(from, to))
    }
}
