//! transacciones
