//! Holds the market at the end against every answer that a client got.
//!
//! It knows the API's promises and nothing of the product's code. The rules:
//!
//! | rule | what must hold |
//! | --- | --- |
//! | `kept` | a purchase, abono or new token that was answered 201 is there at the end, with the same id and body |
//! | `replay` | every 201 under one key is the same; after a 201, a request with the key is never refused; no id is given to two purchases |
//! | `once` | one key, at most one transaction, and of what was asked for under it, at the price that was named |
//! | `refusal` | a key that was refused (4xx) and not sent again has not bought, not even by a request that was sent before the refusal and had no answer |
//! | `own` | where people log in, nobody's session has bought for somebody else, and nobody's key counts as somebody else's |
//! | `invented` | every transaction and every abono is one that a client asked for and was not refused |
//! | `money` | opening + abonos acknowledged (each key once; unanswered ones either way) - purchases = balance |
//! | `ledger` | a user's movements sum to the balance; its debits are its purchases, all settled |
//! | `negative` | no balance is below zero, at the end or in any reading |
//! | `oversold` | a token has at most one transaction |
//! | `sold` | a token is sold exactly if it has a transaction, at its price |
//! | `read` | once a token was seen sold it is never seen free; after a 201 every reading shows it sold |
//! | `edit` | a name and a price are those of an acknowledged change that no later acknowledged change followed, or of an unanswered one |
//! | `conserved` | over all users: opening + abonos = balances + what was paid |
//! | `audit` | the market's own verdict agrees, and nothing is left pending |
//! | `disk` | the arrays after a clean stop are what the API showed |
//! | `error` | no answer was a 500 (a 503 or 507 may be), or a success that cannot be read |
//!
//! Two refinements keep `refusal` and `read` to what a server can promise:
//!
//! - A request that lay unread in front of a frozen process or one that starts, or in a slow network, is to the server one that was sent
//!   after the refusal; so are two that were under way at once. Keys that bought so are counted
//!   ([`Verdict::overtaken`]), not found wrong.
//! - The coordinator answers 201 when the purchase is durable, even where the sale could not be confirmed, but it tries
//!   that for [`CONFIRMATION`]. A 201 that came faster was confirmed; behind a slower one the token may show as free
//!   until recovery has been there.

mod market;
mod money;
mod purchases;
#[cfg(test)]
mod tests;

use crate::history::History;
use crate::shown::Final;
use crate::t;
use serde::Serialize;
use std::collections::BTreeMap;

/// Microseconds that the coordinator tries to confirm a sale before it answers 201 all the same.
pub const CONFIRMATION: u64 = 1_000_000;

/// Rules that no reading of the market is needed for.
pub const OF_ANSWERS: [&str; 3] = ["replay", "read", "error"];

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which; see the table above.
    pub rule: &'static str,
    /// In words, with ids and keys.
    pub detail: String,
}

/// What the checker says.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is wrong; nothing is green.
    pub findings: Vec<Finding>,
    /// Keys that bought by a request which reached the server after another had been refused.
    pub overtaken: u64,
}

impl Verdict {
    /// Another finding.
    pub fn add(&mut self, rule: &'static str, detail: String) {
        self.findings.push(Finding { rule, detail });
    }

    /// Besides, what another look found.
    pub fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.overtaken += other.overtaken;
    }

    /// How often each rule was broken.
    pub fn by_rule(&self) -> BTreeMap<&'static str, usize> {
        let mut count = BTreeMap::new();
        for h in &self.findings {
            *count.entry(h.rule).or_default() += 1;
        }
        count
    }
}

/// What [`Verdict::overtaken`] counts, for people.
pub fn overtaken() -> String {
    t!("claves rechazadas que compró una petición atrasada", "refused keys that a late request bought")
}

/// Checks every rule; of a market that cannot be read, those that answers alone can break: [`OF_ANSWERS`].
pub fn check(h: &History, f: Option<&Final>) -> Verdict {
    let mut v = Verdict::default();
    purchases::answers(h, &mut v);
    money::answers(h, &mut v);
    market::answers(h, &mut v);
    if let Some(f) = f {
        purchases::check(h, f, &mut v);
        money::check(h, f, &mut v);
        market::check(h, f, &mut v);
    }
    v
}
