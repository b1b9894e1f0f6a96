//! usuarios
