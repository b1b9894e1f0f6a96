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
    /// Whether the same will fail in the same way until somebody changes the data or the database.
    pub permanent: bool,
    /// Whether that may be because a table, a column or a privilege is missing.
    pub of_tables: bool,
    /// Whether the server has no room on its disk.
    pub full: bool,
    /// Whether too many operations waited already.
    pub busy: bool,
    /// Whether the server does not know this connection's statements, or takes them for another one's.
    pub mixed_up: bool,
    /// Whether the connection leads to no server that writes, or is mixed up with others. Neither this connection nor an
    /// older one is used again then.
    pub cut: bool,
    /// Whether our own deadline ended it, so that it says nothing of the server.
    pub late: bool,
    /// For the log.
    pub reason: String,
}

impl Failed {
    fn new(reason: String) -> Self {
        Self {
            maybe_done: false,
            passing: false,
            conflict: false,
            permanent: false,
            of_tables: false,
            full: false,
            busy: false,
            mixed_up: false,
            cut: false,
            late: false,
            reason,
        }
    }

    /// Whether one row of a statement can be to blame, so that the others would be done without it.
    pub fn concerns_a_row(&self) -> bool {
        !self.maybe_done && (self.conflict || self.permanent)
    }

    /// No connection was had, so nothing was asked of the server.
    pub fn to_connect(e: &Error) -> Self {
        Self { passing: true, late: matches!(e, Error::PoolTimedOut), ..Self::new(e.to_string()) }
    }

    /// Nor was one waited for.
    pub fn full(queue: usize) -> Self {
        Self { busy: true, ..Self::new(format!("{queue} operations wait for a connection already")) }
    }

    /// Of an error that a statement or its commit met.
    pub fn of(e: &Error) -> Self {
        let failed = Self::new(said(e));
        match e {
            // Our own time limit: the connection is well, and its statement is still under way.
            Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => {
                Self { maybe_done: true, late: true, ..Self::new("no answer in time".to_owned()) }
            }
            // Our own reading of a row: somebody wrote the row past this program. The tables' checks let this program read
            // every row that it has just written, so the row is an old one, and the statement that read it wrote nothing.
            Error::Decode(_) => Self { permanent: true, ..failed },
            Error::Database(answer) => {
                let code = answer.code().unwrap_or_default();
                let mixed_up = is_of_sessions(e);
                let cut = matches!(&*code, "25006" | "57P01" | "57P02" | "57P03")
                    || code.starts_with("08")
                    || mixed_up;
                let conflict = matches!(&*code, "40001" | "40P01");
                Self {
                    maybe_done: !is_refusal(&code),
                    passing: cut || conflict || code == "53300",
                    conflict,
                    full: code == "53100",
                    busy: false,
                    permanent: is_permanent(&code) && !mixed_up,
                    of_tables: matches!(&*code, "3F000" | "42501" | "42703" | "42P01"),
                    mixed_up,
                    cut,
                    late: false,
                    reason: format!("{} ({code})", failed.reason),
                }
            }
            // The answer was lost, or cannot be understood: the server may have done what it was asked.
            _ => {
                let cut =
                    matches!(e, Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed);
                Self { maybe_done: true, passing: cut, cut, ..failed }
            }
        }
    }
}

/// Whether the server says this only before a commit, so that it has rolled back. After a shutdown (57P01) that is not
/// certain: a commit may be on the disk and wait for its standby. After 40003, 58, XX and codes that we do not know, nothing
/// is certain.
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
                | "P0"
        )
}

/// The data (21, 22, 44), a constraint (23), what is there and who may do what with it (3F, 42), a limit that the request
/// passed (54), or a trigger that raised an exception (P0).
fn is_permanent(code: &str) -> bool {
    matches!(code.get(..2), Some("21" | "22" | "23" | "3F" | "42" | "44" | "54" | "P0"))
}

/// What an error says, and what is to be done about it where that is known.
pub(super) fn said(e: &Error) -> String {
    if is_of_sessions(e) {
        format!(
            "{e}; a proxy gives the sessions of one process to others: set PgBouncer to pool_mode = session, or use its \
             version 1.21 or later with max_prepared_statements"
        )
    } else {
        e.to_string()
    }
}

/// Whether the server has no prepared statement of this session under a name, or has another session's: a proxy that shares
/// sessions does not know of prepared statements. Somebody else's statement may also take other parameters (08P01).
fn is_of_sessions(e: &Error) -> bool {
    let Some(answer) = e.as_database_error() else { return false };
    match answer.code().as_deref() {
        Some("42P05" | "26000") => true,
        Some("08P01") => answer.message().contains("prepared statement"),
        _ => false,
    }
}

/// Whether a sequence has given its last number (`sequence_generator_limit_exceeded`).
pub fn is_exhausted(e: &Error) -> bool {
    e.as_database_error().and_then(|answer| answer.code()).is_some_and(|code| code == "2200H")
}

/// The name of the constraint that a row would have broken.
pub fn broken(e: &Error) -> Option<&str> {
    e.as_database_error().and_then(|answer| answer.constraint())
}
