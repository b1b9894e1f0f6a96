//! Moving a market from one store to another of any kind: [`MarketSource`] is where the market is, [`MarketTarget`] where it will be.
//! `mercado::migrar` says what is done with them and in which order; ADR 0010 says why.
//!
//! 1. A move never changes its source, and nobody else changes the source unnoticed. Files are locked against every process
//!    that would open them. Of a database one state is read, twice.
//! 2. A target becomes a market at one moment, all of it, or stays as empty as it was. If the move is killed at any other
//!    moment, no service takes the target for a market, and the next move begins anew.

use crate::store::{StoreUrl, WORDS};
use chrono::{DateTime, Utc};
use http_kit::exit::{EX_USAGE, StartError};
use journal::{Filling, OpenError, Quiet};
use pg::{Part, PostgresUrl, Tables, Version, WholeDatabase};
use sqlx::Error as SqlError;
use sqlx::migrate::MigrateError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of `sysexits.h`: what was read is wrong, or not what was expected.
const EX_DATA: i32 = 65;
/// There is no source.
const EX_NOINPUT: i32 = 66;
/// Others are at work on the store.
const EX_UNAVAILABLE: i32 = 69;
/// A disk, a network or a database failed; the move can be run again.
const EX_IO: i32 = 74;
/// How long a database may still show the connections of services that have just been stopped.
const LEAVING: Duration = Duration::from_secs(5);

/// The names of a market's processes at a database, where an `@` and the host follow each.
const SERVICES: [&str; 4] = ["mercado", "usuarios", "tokens", "transacciones"];

/// The side of a move of which an error speaks.
#[derive(Clone, Copy, Debug)]
enum Side {
    De,
    A,
}

/// An error that begins with an option and its value: `--de json:./datos: `.
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

/// Whether two stores are one, as far as their names say. [`MarketSource::is`] finds out for a database that has two names.
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

/// The error that both stores are one.
pub fn one_and_the_same(a: &StoreUrl) -> StartError {
    said(Side::A, a, EX_USAGE, "this is where the market is already: --de and --a must be different stores")
}

/// Where a market is.
pub struct MarketSource {
    side: Side,
    kind: Kind,
}

enum Kind {
    /// A directory, with the files that are locked.
    Json(PathBuf, BTreeMap<&'static str, Quiet>),
    /// A database, in a transaction that sees one state, and when each schema was filled.
    Postgres(PostgresUrl, Box<WholeDatabase>, Vec<DateTime<Utc>>),
}

impl MarketSource {
    /// Opens `--de`, which must have all of the parts.
    ///
    /// # Errors
    /// Exit code 65 where the market is not whole or of another version, 66 where there is none, 69 where services are at work on
    /// it, 74 where it cannot be read.
    pub async fn open(url: &StoreUrl, parts: &[Part]) -> Result<Self, StartError> {
        Self::at(Side::De, url, parts).await
    }

    async fn at(side: Side, url: &StoreUrl, parts: &[Part]) -> Result<Self, StartError> {
        let kind = match url {
            StoreUrl::Json(dir) => {
                let there = |part: &&Part| dir.join(part.name).with_extension("journal").exists();
                let missing: Vec<_> = parts.iter().filter(|part| !there(part)).map(|p| p.name).collect();
                if missing.len() == parts.len() && !dir.join(WORDS.filling).exists() {
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
    /// As those of [`MarketSource::open`].
    pub async fn read<M: Tables>(&mut self) -> Result<M, StartError> {
        let side = self.side;
        match &mut self.kind {
            Kind::Json(dir, held) => {
                let failed = |e: OpenError| files(side, dir, &e);
                if !held.contains_key(M::NAME) {
                    let gone = || said(side, &dir.display(), EX_DATA, format!("{}.journal is gone", M::NAME));
                    held.insert(M::NAME, Quiet::of::<M>(dir, WORDS).map_err(failed)?.ok_or_else(gone)?);
                }
                held[M::NAME].read::<M>().map_err(failed)
            }
            Kind::Postgres(url, whole, _) => {
                M::read(&mut whole.connection()).await.map_err(|e| schema::<M>(side, url, &e))
            }
        }
    }

    /// Begins anew: from here on [`MarketSource::read`] gives what is there now.
    ///
    /// # Errors
    /// Exit code 69 where services have come meanwhile, 74 where the database fails.
    pub async fn again(&mut self) -> Result<(), StartError> {
        if let Kind::Postgres(url, whole, _) = &mut self.kind {
            let failed = |e: SqlError| database(self.side, url, &e);
            whole.rollback().await.map_err(failed)?;
            // a service that comes after this look comes after the move
            nobody(self.side, url, whole).await?;
            whole.begin_reading().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Whether both are the same database: no two databases were filled at the same microsecond.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Postgres(.., ours), Kind::Postgres(.., theirs)) => ours == theirs,
            _ => false,
        }
    }
}

/// An error of a schema's rows, with the schema's name.
fn schema<M: Tables>(side: Side, url: &PostgresUrl, e: &SqlError) -> StartError {
    let StartError { message, exit_code } = database(side, url, e);
    StartError::new(exit_code, format!("{message} (schema {})", M::NAME))
}

/// Waits until no service is connected, for those that are leaving.
async fn nobody(side: Side, url: &PostgresUrl, whole: &mut WholeDatabase) -> Result<(), StartError> {
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
) -> Result<(WholeDatabase, Vec<DateTime<Utc>>), StartError> {
    let failed = |e: SqlError| database(side, url, &e);
    let mut whole = WholeDatabase::connect(url, "mercado migrar").await.map_err(failed)?;
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

/// Where a market will be. Until [`MarketTarget::finish`] it is no market, whatever happens to this process.
pub struct MarketTarget(To);

enum To {
    Json(PathBuf, Filling),
    Postgres(PostgresUrl, Box<WholeDatabase>),
}

/// What a market is to be moved to.
pub enum OpenedTarget {
    /// A store without a market.
    Empty(MarketTarget),
    /// A store with a market, which may be the one that is moved, from an earlier move; and what is there, for people.
    Filled(MarketSource, String),
}

/// The error that a target has another market.
pub fn not_empty(a: &StoreUrl, there: &str, why: &str) -> StartError {
    let what = format!(
        "it is not empty ({there}), and it is not what --de has: {why}; name an empty directory or database, or take away \
         what is there. Nothing was moved"
    );
    said(Side::A, a, EX_DATA, what)
}

impl MarketTarget {
    /// Opens `--a`, for all of the parts at once.
    ///
    /// # Errors
    /// Exit code 65 where the store has something else than a market of this version, 69 where others are at work on it, 73 and
    /// 74 where it cannot be made or written.
    pub async fn open(a: &StoreUrl, parts: &[Part]) -> Result<OpenedTarget, StartError> {
        let there = match a {
            StoreUrl::Json(dir) => {
                let stores: Vec<_> = parts.iter().map(|part| (part.name, part.collections)).collect();
                match Filling::begin(dir, WORDS, &stores).map_err(|e| files(Side::A, dir, &e))? {
                    Ok(filling) => return Ok(OpenedTarget::Empty(Self(To::Json(dir.clone(), filling)))),
                    Err(found) => {
                        let names = found.iter().filter_map(|f| f.file_name()).map(|f| f.to_string_lossy());
                        names.collect::<Vec<_>>().join(", ")
                    }
                }
            }
            StoreUrl::Postgres(url) => match begin(url, parts).await? {
                Begun::Empty(whole) => {
                    return Ok(OpenedTarget::Empty(Self(To::Postgres(url.clone(), whole))));
                }
                Begun::Filled(found) => found,
            },
        };
        match MarketSource::at(Side::A, a, parts).await {
            Ok(source) => Ok(OpenedTarget::Filled(source, there)),
            Err(e) => Err(not_empty(a, &there, &e.message)),
        }
    }

    /// Writes what a service keeps.
    ///
    /// # Errors
    /// Exit code 65 where the target cannot hold a record, 73 and 74 where it cannot be written.
    pub async fn write<M: Tables>(&mut self, model: &M) -> Result<(), StartError> {
        match &mut self.0 {
            To::Json(dir, filling) => filling.write(model).map_err(|e| files(Side::A, dir, &e)),
            To::Postgres(url, whole) => {
                model.fill(&mut whole.connection()).await.map_err(|e| schema::<M>(Side::A, url, &e))
            }
        }
    }

    /// Reads back what was written.
    ///
    /// # Errors
    /// As those of [`MarketSource::read`].
    pub async fn read<M: Tables>(&mut self) -> Result<M, StartError> {
        match &mut self.0 {
            To::Json(dir, filling) => filling.read::<M>().map_err(|e| files(Side::A, dir, &e)),
            To::Postgres(url, whole) => {
                M::read(&mut whole.connection()).await.map_err(|e| schema::<M>(Side::A, url, &e))
            }
        }
    }

    /// Makes the target a market, durably.
    ///
    /// # Errors
    /// Exit code 74 where it is not known whether the target is a market now: the next move finds out.
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

    /// Leaves the target as empty as it was, where the disk or the server still allows it.
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

/// A database that is to be filled.
enum Begun {
    /// It has no market: the transaction that fills it has begun.
    Empty(Box<WholeDatabase>),
    /// It has a market; what is there, for people.
    Filled(String),
}

/// Begins to fill a database, unless it has a market.
async fn begin(url: &PostgresUrl, parts: &[Part]) -> Result<Begun, StartError> {
    let (side, failed) = (Side::A, |e: SqlError| database(Side::A, url, &e));
    let mut whole = WholeDatabase::connect(url, "mercado migrar").await.map_err(failed)?;
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
            // a service may have come first, after the look above
            if !whole.claim(*part).await.map_err(failed)? {
                there.push(format!("schema {}, filled just now", part.name));
            }
        }
    }
    if there.is_empty() {
        return Ok(Begun::Empty(Box::new(whole)));
    }
    whole.close().await;
    Ok(Begun::Filled(there.join("; ")))
}
