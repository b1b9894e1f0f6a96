//! A participant that does not answer at all is not asked by every purchase: calls fail at once, and one call a second is let
//! through, until one of them has an answer.
//!
//! So a stopped participant costs a purchase nothing but its first read, and the process neither fills with purchases that
//! wait nor with lines that say so. A refusal is an answer, and so is a page.

use crate::complaint::Complaint;
use async_trait::async_trait;
use chrono::TimeDelta;
use http_kit::client::Unavailable;
use http_kit::metrics::Metrics;
use market::contract::{Answer, Digest, Hold, Named};
use market::domain::Intento;
use market::participant::{HoldRequest, Holder, Participant};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So many calls without an answer, and none with an answer in between: the participant does not answer.
const TRIPS_AFTER: u32 = 10;
/// Between two calls that are let through to a participant that does not answer.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Whether one participant answers.
#[derive(Debug)]
struct Breaker {
    service: &'static str,
    /// Calls without an answer since the last one that had an answer.
    unanswered: AtomicU32,
    next_probe: Mutex<Instant>,
    complaint: Complaint,
}

impl Breaker {
    fn new(service: &'static str) -> Self {
        Self {
            service,
            unanswered: AtomicU32::new(0),
            next_probe: Mutex::new(Instant::now()),
            complaint: Complaint::new(log::Level::Warn),
        }
    }

    fn is_open(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= TRIPS_AFTER
    }

    /// Whether a call may be made now.
    fn admits(&self, now: Instant) -> bool {
        if !self.is_open() {
            return true;
        }
        let mut next = self.next_probe.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now >= *next;
        if due {
            *next = now + PROBE_EVERY;
        }
        due
    }

    fn answered(&self) {
        // most calls write nothing that other cores read
        if self.unanswered.load(Ordering::Relaxed) > 0
            && self.unanswered.swap(0, Ordering::Relaxed) >= TRIPS_AFTER
        {
            log::info!("{} answers again", self.service);
        }
    }

    fn unanswered(&self, why: &Unavailable, now: Instant) {
        if self.unanswered.fetch_add(1, Ordering::Relaxed) + 1 == TRIPS_AFTER {
            *self.next_probe.lock().unwrap_or_else(PoisonError::into_inner) = now + PROBE_EVERY;
        }
        self.complaint.say(why);
    }

    async fn call<T>(&self, call: impl Future<Output = Answer<T>> + Send) -> Answer<T> {
        if !self.admits(Instant::now()) {
            let cause = "it has not answered lately, and is asked once a second".to_owned();
            let why = Unavailable { service: self.service, cause };
            self.complaint.say(&why);
            return Err(why);
        }
        let answer = call.await;
        match &answer {
            Ok(_) => self.answered(),
            Err(why) => self.unanswered(why, Instant::now()),
        }
        answer
    }
}

/// A participant with its breaker.
pub struct Guarded<P: ?Sized> {
    participant: Arc<P>,
    breaker: Arc<Breaker>,
}

impl<P: ?Sized> Guarded<P> {
    /// Of a participant that answers, as far as is known.
    pub fn new(service: &'static str, participant: Arc<P>) -> Self {
        Self { participant, breaker: Arc::new(Breaker::new(service)) }
    }

    /// Shows whether it answers.
    pub fn measure(&self, name: &'static str, metrics: &Metrics) {
        let breaker = Arc::clone(&self.breaker);
        metrics.gauge(
            name,
            "1 while the participant does not answer and calls to it fail at once",
            move || u64::from(breaker.is_open()),
        );
    }
}

#[async_trait]
impl<P: Participant + ?Sized> Participant for Guarded<P> {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        self.breaker.call(self.participant.confirm(intento, deadline)).await
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        self.breaker.call(self.participant.cancel(intento, deadline)).await
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>> {
        self.breaker.call(self.participant.pending(age, after, deadline)).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>> {
        self.breaker.call(self.participant.settled(after, deadline)).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        self.breaker.call(self.participant.digest(deadline)).await
    }

    async fn names(&self, ids: &[u64], deadline: Instant) -> Answer<Vec<Named>> {
        self.breaker.call(self.participant.names(ids, deadline)).await
    }
}

#[async_trait]
impl<R: HoldRequest, P: Holder<R> + ?Sized> Holder<R> for Guarded<P> {
    async fn hold(&self, intento: &Intento, request: R, deadline: Instant) -> Answer<R::Held> {
        self.breaker.call(self.participant.hold(intento, request, deadline)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Unavailable {
        Unavailable { service: "x", cause: "silence".to_owned() }
    }

    #[test]
    fn who_never_answers_is_asked_once_a_second_until_an_answer_comes() {
        let (breaker, start) = (Breaker::new("x"), Instant::now());
        for _ in 0..TRIPS_AFTER {
            assert!(breaker.admits(start));
            breaker.unanswered(&silence(), start);
        }
        assert!(breaker.is_open());
        for second in 0..3 {
            let now = start + PROBE_EVERY * second;
            let asked = (0..1000).filter(|_| breaker.admits(now)).count();
            assert_eq!(asked, usize::from(second > 0), "in second {second}");
            breaker.unanswered(&silence(), now);
        }
        breaker.answered();
        assert!(!breaker.is_open());
        assert!((0..1000).all(|_| breaker.admits(start)));
    }

    #[test]
    fn who_answers_now_and_then_is_always_asked() {
        let (breaker, start) = (Breaker::new("x"), Instant::now());
        for n in 1..10 * TRIPS_AFTER {
            assert!(breaker.admits(start), "call {n}");
            if n % TRIPS_AFTER == 0 { breaker.answered() } else { breaker.unanswered(&silence(), start) }
        }
    }

    #[tokio::test]
    async fn a_call_that_is_not_let_through_is_not_made() {
        let breaker = Breaker::new("x");
        for _ in 0..TRIPS_AFTER {
            assert!(breaker.call(async { Answer::<()>::Err(silence()) }).await.is_err());
        }
        let mut made = false;
        let call = async {
            made = true;
            Answer::Ok(Ok(()))
        };
        assert!(breaker.call(call).await.is_err());
        assert!(!made);
    }
}
