//! Moving a market from one store to another of any kind: [`Source`] is where it is, [`Target`] where it will be. What is
//! done with them, and in which order: `mercado::migrar`. Why so: ADR 0010.
//!
//! 1. A source is never changed. Nobody else changes it unnoticed: files are locked against every process that would open
//!    them; of a database one state is read, twice.
//! 2. A target becomes a market at one moment, all of it, or stays as empty as it was. Killed at any other moment, it is
//!    none: no service takes it for one, and the next move begins anew.

use crate::store::StoreUrl;
use chrono::{DateTime, Utc};
use http_kit::exit::{EX_USAGE, StartError};
use journal::{Filling, OpenError, Quiet};
use pg::{Part, PostgresUrl, Tables, Version, Whole};
use sqlx::Error as SqlError;
use sqlx::migrate::MigrateError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `sysexits.h`: what was read is wrong, or not what was expected.
const EX_DATA: i32 = 65;
/// There is no source.
const EX_NOINPUT: i32 = 66;
/// Others are at work on it.
const EX_UNAVAILABLE: i32 = 69;
/// A disk, a network or a database failed; run it again.
const EX_IO: i32 = 74;
/// How long the connections of services that have just been stopped may still be seen.
const LEAVING: Duration = Duration::from_secs(5);

/// What the processes of a market call themselves to a database, before an `@` and their host.
const SERVICES: [&str; 4] = ["mercado", "usuarios", "tokens", "transacciones"];

/// Which side something is said of.
#[derive(Clone, Copy, Debug)]
enum Side {
    De,
    A,
}

/// Of an option, with its value: `--de json:./datos: `.
fn said(side: Side, url: &dyn std::fmt::Display, code: i32, what: impl std::fmt::Display) -> StartError {
    let option = match side {
        Side::De => "--de",
        Side::A => "--a",
    };
    StartError::new(code, format!("{option} {url}: {what}"))
}

fn files(side: Side, dir: &Path, e: &OpenError) -> StartError {
    said(side, &StoreUrl::Json(dir.to_owned()), e.exit_code(), e)
}

fn database(side: Side, url: &PostgresUrl, e: &SqlError) -> StartError {
    let state = e.as_database_error().and_then(|e| e.code()).unwrap_or_default();
    match e {
        SqlError::Decode(_) | SqlError::ColumnDecode { .. } => said(side, url, EX_DATA, e),
        _ if state == "55P03" => {
            let what = "another process is filling this database, or a move that was killed has not let go of it yet; \
                        run it again in a minute";
            said(side, url, EX_UNAVAILABLE, what)
        }
        // a record that the other kind of store cannot hold
        _ if state.starts_with("22") || state.starts_with("23") => said(side, url, EX_DATA, e),
        _ => said(side, url, EX_IO, format!("{e}; nothing was moved: run it again")),
    }
}

fn migrations(side: Side, url: &PostgresUrl, e: &MigrateError) -> StartError {
    match e {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => database(side, url, e),
        other => said(side, url, EX_DATA, other),
    }
}

/// Whether two stores are one, as far as their names say; [`Source::is`] says it of databases with two names.
pub fn is_same(de: &StoreUrl, a: &StoreUrl) -> bool {
    match (de, a) {
        (StoreUrl::Json(de), StoreUrl::Json(a)) => {
            let full = |dir: &Path| dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
            full(de) == full(a)
        }
        (StoreUrl::Postgres(de), StoreUrl::Postgres(a)) => de.same_place(a),
        _ => false,
    }
}

/// That both are one.
pub fn one_and_the_same(a: &StoreUrl) -> StartError {
    said(Side::A, a, EX_USAGE, "this is where the market is already: --de and --a must be different stores")
}

/// Where a market is.
pub struct Source {
    side: Side,
    kind: Kind,
}

enum Kind {
    /// With what is locked of it.
    Json(PathBuf, BTreeMap<&'static str, Quiet>),
    /// In a transaction that sees one state, and when each schema was filled.
    Postgres(PostgresUrl, Box<Whole>, Vec<DateTime<Utc>>),
}

impl Source {
    /// Opens `--de`, which has all of the parts.
    ///
    /// # Errors
    /// Exit code 65 where it is not whole or not this version's, 66 where there is none, 69 where services are at work on it,
    /// 74 where it cannot be read.
    pub async fn open(url: &StoreUrl, parts: &[Part]) -> Result<Self, StartError> {
        Self::at(Side::De, url, parts).await
    }

    async fn at(side: Side, url: &StoreUrl, parts: &[Part]) -> Result<Self, StartError> {
        let kind = match url {
            StoreUrl::Json(dir) => {
                let there = |part: &&Part| dir.join(part.name).with_extension("journal").exists();
                let missing: Vec<_> = parts.iter().filter(|part| !there(part)).map(|p| p.name).collect();
                if missing.len() == parts.len() && !dir.join("migrar.pendiente").exists() {
                    return Err(said(
                        side,
                        url,
                        EX_NOINPUT,
                        "there is no market: no journal; name the directory of one that was started before",
                    ));
                }
                if !missing.is_empty() && missing.len() < parts.len() {
                    let what = format!(
                        "there is no {}.journal; all three services are moved together: put their files into one \
                         directory, none has the name of another",
                        missing.join(".journal and no ")
                    );
                    return Err(said(side, url, EX_DATA, what));
                }
                Kind::Json(dir.clone(), BTreeMap::new())
            }
            StoreUrl::Postgres(url) => {
                let (whole, since) = look(side, url, parts).await?;
                Kind::Postgres(url.clone(), Box::new(whole), since)
            }
        };
        Ok(Self { side, kind })
    }

    /// All that a service keeps.
    ///
    /// # Errors
    /// As those of [`Source::open`].
    pub async fn read<M: Tables>(&mut self) -> Result<M, StartError> {
        let side = self.side;
        match &mut self.kind {
            Kind::Json(dir, held) => {
                let failed = |e: OpenError| files(side, dir, &e);
                if !held.contains_key(M::NAME) {
                    let gone = || said(side, &dir.display(), EX_DATA, format!("{}.journal is gone", M::NAME));
                    held.insert(M::NAME, Quiet::of::<M>(dir).map_err(failed)?.ok_or_else(gone)?);
                }
                held[M::NAME].read::<M>().map_err(failed)
            }
            Kind::Postgres(url, whole, _) => {
                M::read(whole.connection()).await.map_err(|e| schema::<M>(side, url, &e))
            }
        }
    }

    /// From here on [`Source::read`] gives what is there now.
    ///
    /// # Errors
    /// Exit code 69 where services have come meanwhile, 74 where the database fails.
    pub async fn again(&mut self) -> Result<(), StartError> {
        if let Kind::Postgres(url, whole, _) = &mut self.kind {
            let failed = |e: SqlError| database(self.side, url, &e);
            whole.rollback().await.map_err(failed)?;
            // who comes after this comes after the move
            nobody(self.side, url, whole).await?;
            whole.begin_reading().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Whether both are one database: two were not filled at the same microsecond.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Postgres(.., ours), Kind::Postgres(.., theirs)) => ours == theirs,
            _ => false,
        }
    }
}

/// The error of a schema's rows, with its name.
fn schema<M: Tables>(side: Side, url: &PostgresUrl, e: &SqlError) -> StartError {
    let StartError { message, exit_code } = database(side, url, e);
    StartError::new(exit_code, format!("{message} (schema {})", M::NAME))
}

/// Waits for services that are leaving.
async fn nobody(side: Side, url: &PostgresUrl, whole: &mut Whole) -> Result<(), StartError> {
    let services = SERVICES.map(str::to_owned);
    let start = Instant::now();
    loop {
        let who = whole.services(&services).await.map_err(|e| database(side, url, &e))?;
        if who.is_empty() {
            return Ok(());
        }
        if start.elapsed() > LEAVING {
            let what = format!("services are connected to it ({}): stop every one first", who.join(", "));
            return Err(said(side, url, EX_UNAVAILABLE, what));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Begins to read a database that holds a market.
async fn look(
    side: Side,
    url: &PostgresUrl,
    parts: &[Part],
) -> Result<(Whole, Vec<DateTime<Utc>>), StartError> {
    let failed = |e: SqlError| database(side, url, &e);
    let mut whole = Whole::connect(url, "mercado migrar").await.map_err(failed)?;
    nobody(side, url, &mut whole).await?;
    whole.begin_reading().await.map_err(failed)?;
    let mut since = Vec::new();
    let mut missing = Vec::new();
    for part in parts {
        let version = whole.version(*part).await.map_err(|e| migrations(side, url, &e))?;
        match version {
            Version::Other => return Err(said(side, url, EX_DATA, other_version(part))),
            Version::Older => {
                let what = format!(
                    "schema {} is an older version's: start this version's services on it once, and stop them",
                    part.name
                );
                return Err(said(side, url, EX_DATA, what));
            }
            Version::Same => match whole.filled(*part).await.map_err(failed)? {
                Some(when) => since.push(when),
                None => missing.push(part.name),
            },
            Version::None => missing.push(part.name),
        }
    }
    if missing.len() == parts.len() {
        return Err(said(
            side,
            url,
            EX_NOINPUT,
            "there is no market in this database; name that of one that was started before",
        ));
    }
    if !missing.is_empty() {
        let what =
            format!("there is nothing in schema {}; all services are moved together", missing.join(" and "));
        return Err(said(side, url, EX_DATA, what));
    }
    Ok((whole, since))
}

fn other_version(part: &Part) -> String {
    format!(
        "schema {} is a newer version's, or somebody else's: use that version's `mercado migrar`",
        part.name
    )
}

/// Where a market will be. Dropped, or killed, it is none.
pub struct Target(To);

enum To {
    Json(PathBuf, Filling),
    Postgres(PostgresUrl, Box<Whole>),
}

/// A store that a market is to be moved to.
pub enum Opened {
    /// It has none.
    Empty(Target),
    /// It has one, which may be this one, moved before: and what is there, for people.
    Filled(Source, String),
}

/// That a target has another market.
pub fn not_empty(a: &StoreUrl, there: &str, why: &str) -> StartError {
    let what = format!(
        "it is not empty ({there}), and it is not what --de has: {why}; name an empty directory or database, or take away \
         what is there. Nothing was moved"
    );
    said(Side::A, a, EX_DATA, what)
}

impl Target {
    /// Opens `--a`, for all of the parts at once.
    ///
    /// # Errors
    /// Exit code 65 where it holds something else than a market of this version, 69 where others are at work on it, 73 and 74
    /// where it cannot be made or written.
    pub async fn open(a: &StoreUrl, parts: &[Part]) -> Result<Opened, StartError> {
        let there = match a {
            StoreUrl::Json(dir) => {
                let stores: Vec<_> = parts.iter().map(|part| (part.name, part.collections)).collect();
                match Filling::begin(dir, &stores).map_err(|e| files(Side::A, dir, &e))? {
                    Ok(filling) => return Ok(Opened::Empty(Self(To::Json(dir.clone(), filling)))),
                    Err(found) => {
                        let names = found.iter().filter_map(|f| f.file_name()).map(|f| f.to_string_lossy());
                        names.collect::<Vec<_>>().join(", ")
                    }
                }
            }
            StoreUrl::Postgres(url) => match begin(url, parts).await? {
                Ok(whole) => return Ok(Opened::Empty(Self(To::Postgres(url.clone(), Box::new(whole))))),
                Err(found) => found,
            },
        };
        match Source::at(Side::A, a, parts).await {
            Ok(source) => Ok(Opened::Filled(source, there)),
            Err(e) => Err(not_empty(a, &there, &e.message)),
        }
    }

    /// Writes what a service keeps.
    ///
    /// # Errors
    /// Exit code 65 where it cannot be held there, 73 and 74 where it cannot be written.
    pub async fn write<M: Tables>(&mut self, model: &M) -> Result<(), StartError> {
        match &mut self.0 {
            To::Json(dir, filling) => filling.write(model).map_err(|e| files(Side::A, dir, &e)),
            To::Postgres(url, whole) => {
                model.fill(whole.connection()).await.map_err(|e| schema::<M>(Side::A, url, &e))
            }
        }
    }

    /// Reads back what was written.
    ///
    /// # Errors
    /// As those of [`Source::read`].
    pub async fn read<M: Tables>(&mut self) -> Result<M, StartError> {
        match &mut self.0 {
            To::Json(dir, filling) => filling.read::<M>().map_err(|e| files(Side::A, dir, &e)),
            To::Postgres(url, whole) => {
                M::read(whole.connection()).await.map_err(|e| schema::<M>(Side::A, url, &e))
            }
        }
    }

    /// Makes it a market, durably.
    ///
    /// # Errors
    /// Exit code 74 where it is not known whether it is one: the next move finds out.
    pub async fn finish(self) -> Result<(), StartError> {
        let unknown = |e: &dyn std::fmt::Display| {
            format!("whether this was done is not known ({e}): run it again, which finds out")
        };
        match self.0 {
            To::Json(dir, filling) => {
                filling.finish().map_err(|e| said(Side::A, &dir.display(), EX_IO, unknown(&e)))
            }
            To::Postgres(url, mut whole) => {
                whole.commit().await.map_err(|e| said(Side::A, &url, EX_IO, unknown(&e)))?;
                whole.close().await;
                Ok(())
            }
        }
    }

    /// Leaves it as empty as it was, where the disk or the server still lets it.
    pub async fn abandon(self) {
        match self.0 {
            To::Json(dir, filling) => {
                if let Err(e) = filling.abandon() {
                    log::warn!("{}: {e}; the next `mercado migrar` clears it", dir.display());
                }
            }
            To::Postgres(_, mut whole) => {
                if let Err(e) = whole.rollback().await {
                    log::debug!("the server rolls back by itself: {e}");
                }
                whole.close().await;
            }
        }
    }
}

/// Begins to fill a database that has no market; else what it has, for people.
async fn begin(url: &PostgresUrl, parts: &[Part]) -> Result<Result<Whole, String>, StartError> {
    let (side, failed) = (Side::A, |e: SqlError| database(Side::A, url, &e));
    let mut whole = Whole::connect(url, "mercado migrar").await.map_err(failed)?;
    let mut there = Vec::new();
    for part in parts {
        match whole.version(*part).await.map_err(|e| migrations(side, url, &e))? {
            Version::None => {}
            Version::Other => return Err(said(side, url, EX_DATA, other_version(part))),
            Version::Older | Version::Same => {
                if let Some(when) = whole.filled(*part).await.map_err(failed)? {
                    there.push(format!("schema {}, filled {}", part.name, when.format("%F %T UTC")));
                }
            }
        }
    }
    if there.is_empty() {
        for part in parts {
            whole.migrate(*part).await.map_err(|e| migrations(side, url, &e))?;
        }
        whole.begin().await.map_err(failed)?;
        for part in parts {
            // a service may have come first, since we looked
            if !whole.claim(*part).await.map_err(failed)? {
                there.push(format!("schema {}, filled just now", part.name));
            }
        }
    }
    if there.is_empty() {
        return Ok(Ok(whole));
    }
    whole.close().await;
    Ok(Err(there.join("; ")))
}
