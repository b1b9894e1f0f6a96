//! What a kind of attack saw.

/// What a kind saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What was done and how it was answered, in one line.
    pub what: String,
    /// What is wrong with that.
    pub wrong: Vec<String>,
}

impl Seen {
    /// Notes something wrong unless it holds.
    pub fn rule(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }
}
