//! The service over HTTP, started for real; the files mirror the paths.

mod ayuda;
mod interno;
mod persistencia;
mod problemas;
mod representacion;
mod usuarios;
mod usuarios_abonos;
mod usuarios_movimientos;
