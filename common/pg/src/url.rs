//! `STORE=postgres://…`.

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fmt;
use std::str::FromStr;

/// Where the database is and who we are there. It is printed without the password.
#[derive(Clone)]
pub struct PostgresUrl {
    options: Box<PgConnectOptions>,
    shown: String,
}

/// What to write instead.
const FORM: &str = "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, with ?sslmode=verify-full where the network is \
                    not to be trusted";
/// What sqlx reads; it ignores what it does not know, a misspelt `sslmode`, too.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

impl PostgresUrl {
    /// How to connect: nothing is logged of what is asked, which a store's errors name.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.as_ref().clone().disable_statement_logging()
    }

    /// Whether both lead to one database, as far as their text says.
    pub fn same_place(&self, other: &Self) -> bool {
        let place = |url: &Self| {
            let o = &url.options;
            let host = o.get_socket().map_or(o.get_host().into(), |s| s.display().to_string());
            (host, o.get_port(), o.get_database().map(str::to_owned))
        };
        place(self) == place(other)
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        // none of these errors repeats the text, which has a password in it
        let url = reqwest::Url::parse(s).map_err(|e| format!("{e}; {FORM}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(FORM.to_owned());
        }
        for (name, _) in url.query_pairs() {
            if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
                return Err(format!("{name:?} is not a parameter: {}", PARAMETERS.join(", ")));
            }
        }
        let options = PgConnectOptions::from_str(s).map_err(|e| format!("{e}; {FORM}"))?;
        let Some(database) = options.get_database().filter(|name| !name.is_empty()) else {
            return Err(format!("the database is missing; {FORM}"));
        };
        let (user, port) = (options.get_username(), options.get_port());
        let host = options.get_socket().map_or(options.get_host().into(), |s| s.display().to_string());
        let tls = match options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => "",
            PgSslMode::Require => "?sslmode=require",
            PgSslMode::VerifyCa => "?sslmode=verify-ca",
            PgSslMode::VerifyFull => "?sslmode=verify-full",
        };
        let shown = format!("postgres://{user}@{host}:{port}/{database}{tls}");
        Ok(Self { options: Box::new(options), shown })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_without_its_password() {
        let url: PostgresUrl =
            "postgresql://ana:s%40creto@db.example:5433/mercado?sslmode=require".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://ana@db.example:5433/mercado?sslmode=require");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.options().get_port(), 5433);
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (wrong, why) in [
            ("postgres://ana:secreto@db.example", "the database is missing"),
            ("postgres://ana:secreto@db.example:x/mercado", "port"),
            ("mysql://ana:secreto@db.example/mercado", "postgres://"),
            ("postgres://ana:secreto@db.example/mercado?sslmod=require", "sslmod"),
            ("postgres://ana:secreto@db.example/mercado?sslmode=perhaps", "perhaps"),
        ] {
            let reason = wrong.parse::<PostgresUrl>().unwrap_err();
            assert!(reason.contains(why) && !reason.contains("secreto"), "{wrong}: {reason}");
        }
    }
}
