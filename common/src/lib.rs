//! What two services use.

pub mod journal;
