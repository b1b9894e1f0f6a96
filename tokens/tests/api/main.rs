//! The service as its clients meet it: each test starts the real thing on free ports with a directory of its own. One
//! file for each path.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod helpers;
mod hits;
mod internal;
mod list;
mod ops;
mod pages;
mod picture;
mod replicas;
mod restart;
mod tokens;
