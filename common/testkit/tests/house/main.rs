//! What keeps the repository in order: who may know whom, which words a layer may say, and whether the pages tell the truth.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod circles;
mod dependencies;
mod documents;
mod images;
mod layers;
mod readmes;
mod tree;
