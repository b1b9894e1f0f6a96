//! What an error says of the statement that met it.

use sqlx::Error;

/// A statement, or a connection, that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// Whether it may have been done all the same. `false` is certain.
    pub maybe_done: bool,
    /// Whether another turn can do better.
    pub passing: bool,
    /// Whether the server gave it up for another transaction that was under way at once.
    pub conflict: bool,
    /// Whether the connection leads to no server that writes: it, and those made before it, are not to be used again.
    pub cut: bool,
    /// For the log.
    pub reason: String,
}

impl Failed {
    /// No connection was had, so nothing was asked of the server.
    pub fn to_connect(e: &Error) -> Self {
        Self { maybe_done: false, passing: true, conflict: false, cut: false, reason: e.to_string() }
    }

    /// Of an error that a statement met, or the commit behind it.
    pub fn of(e: &Error) -> Self {
        let reason = e.to_string();
        if let Error::Io(io) = e
            && io.kind() == std::io::ErrorKind::TimedOut
        {
            // ours: the connection is well, and its statement under way
            return Self {
                maybe_done: true,
                passing: false,
                conflict: false,
                cut: false,
                reason: "no answer in time".to_owned(),
            };
        }
        let Error::Database(answer) = e else {
            // The answer was lost, or is not to be understood: the server may have done it.
            let cut = matches!(e, Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed);
            return Self { maybe_done: true, passing: cut, conflict: false, cut, reason };
        };
        let code = answer.code().unwrap_or_default();
        let cut = matches!(&*code, "25006" | "57P01" | "57P02" | "57P03") || code.starts_with("08");
        let conflict = matches!(&*code, "40001" | "40P01");
        let passing = cut || conflict || code == "53300";
        Self { maybe_done: !is_refusal(&code), passing, conflict, cut, reason: format!("{reason} ({code})") }
    }
}

/// Whether the server says this before it commits, and rolls back. A shutdown (57P01) can end a commit that is on the
/// disk and waits for its standby; of 40003, 58, XX and what we do not know nothing is certain.
fn is_refusal(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    matches!(code, "40001" | "40P01" | "57014" | "57P03")
        || matches!(
            class,
            "0A" | "21"
                | "22"
                | "23"
                | "25"
                | "26"
                | "28"
                | "2B"
                | "3D"
                | "3F"
                | "42"
                | "44"
                | "53"
                | "54"
                | "55"
        )
}

/// The name of the constraint that a row would have broken.
pub fn broken(e: &Error) -> Option<&str> {
    e.as_database_error().and_then(|answer| answer.constraint())
}
