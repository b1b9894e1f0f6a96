//! The `usuarios` binary as an operator meets it: options, data that it refuses, signals.

mod arranque;
mod ayuda;
mod registro;
mod salida;
