//! `cuenta …`: accounts, by whoever can read and write the store. It works beside a service that runs on the same store, as a
//! second process would.

use crate::accounts::hasher::{Hasher, Password};
use crate::accounts::signing;
use crate::domain::account::{Account, AccountName};
use crate::error::Error;
use crate::store::state::State;
use crate::store::{NewAccount, Store};
use clap::Subcommand;
use futures_util::future::LocalBoxFuture;
use http_kit::exit::{EX_USAGE, Report, StartError};
use http_kit::metrics::Metrics;
use http_kit::problem::Text;
use journal::Model;
use market::accounts::rules::Role;
use market::domain::UsuarioId;
use market::store::{Place, Sample, StoreOptions, StoreUrl};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Of `sysexits.h`: what was asked for cannot be done with the data that there are.
const EX_DATA: i32 = 65;
/// There is no store.
const EX_NO_INPUT: i32 = 66;
/// The store cannot be reached.
const EX_UNAVAILABLE: i32 = 69;
const EX_IO: i32 = 74;
/// How long a database may need to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows of a page.
const PAGE: usize = 1000;

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account. Without `CONTRASENA` it gets a password that nobody can guess, which is printed once
    Crear {
        /// With which one logs in: letters a to z, digits, `.`, `_`, `-`
        nombre: AccountName,
        /// What it may do: comprador, publicador, tesorero, auditor; several times for several
        #[arg(long = "rol", required = true)]
        roles: Vec<Role>,
        /// The usuario whose money a comprador spends
        #[arg(long, value_parser = usuario)]
        usuario: Option<UsuarioId>,
        /// Its password. In the environment, since other users of the machine see command lines
        #[arg(long, env = "CONTRASENA", hide_env_values = true)]
        contrasena: Option<String>,
    },
    /// Print all accounts
    Listar,
    /// Give an account another password. All of its sessions end
    Contrasena {
        /// Whose
        nombre: AccountName,
        /// The password; see `crear`
        #[arg(long, env = "CONTRASENA", hide_env_values = true)]
        contrasena: Option<String>,
    },
    /// Close an account for good: its sessions end, and its API keys are gone
    Revocar {
        /// Which
        nombre: AccountName,
    },
    /// Make another key that signs sessions. It signs after two minutes, when all services know it; what the key before signed
    /// still counts, and what the one before that signed does not
    RotarFirma,
}

fn usuario(text: &str) -> Result<UsuarioId, String> {
    let id = text.parse().ok().and_then(UsuarioId::new);
    id.ok_or_else(|| "expected the id of a usuario".to_owned())
}

/// Runs the command on a store, which `crear` begins with the sample where there is none; its report goes to `out`.
///
/// # Errors
/// Exit code 64 for a bad password, 65 where the account cannot be made or is not there, 66 where there is no store, 69 where it
/// cannot be reached, 74 where nothing can be printed.
pub fn run<'a>(
    command: &'a AccountCommand,
    place: (&'a StoreOptions, Sample),
    out: &'a mut Report,
) -> LocalBoxFuture<'a, Result<(), StartError>> {
    Box::pin(run_on(command, place, out))
}

async fn run_on(
    command: &AccountCommand,
    (options, sample): (&StoreOptions, Sample),
    out: &mut Report,
) -> Result<(), StartError> {
    if !matches!(command, AccountCommand::Crear { .. }) {
        is_there(&options.store)?;
    }
    let opened = Place::of(options, "usuarios@cuenta", &Metrics::new()).open::<State>(sample)?;
    let backend = opened.backend();
    let started = Instant::now();
    while let Err(why) = backend.health() {
        if started.elapsed() > PATIENCE {
            return Err(StartError::new(EX_UNAVAILABLE, format!("--store (STORE): {why}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = on(&Store::new(opened), command, out).await;
    backend.close().await?;
    done
}

/// Another command than `crear` works on a store that is there: a name that was mistyped makes none.
fn is_there(store: &StoreUrl) -> Result<(), StartError> {
    let StoreUrl::Json(dir) = store else { return Ok(()) };
    let arrays = State::COLLECTIONS.iter().map(|name| format!("{name}.json"));
    let mut files = arrays.chain([format!("{}.journal", State::NAME)]);
    if files.any(|file| dir.join(file).exists()) {
        return Ok(());
    }
    let dir = dir.display();
    Err(StartError::new(
        EX_NO_INPUT,
        format!("--store (STORE): {dir}: there is no store of accounts here; nothing was made"),
    ))
}

async fn on(store: &Store, command: &AccountCommand, out: &mut Report) -> Result<(), StartError> {
    let done = match command {
        AccountCommand::Crear { nombre, roles, usuario, contrasena } => {
            return create(store, (nombre, roles, *usuario), contrasena.as_deref(), out).await;
        }
        AccountCommand::Listar => return list(store, out).await,
        AccountCommand::Contrasena { nombre, contrasena } => {
            return change(store, nombre, contrasena.as_deref(), out).await;
        }
        AccountCommand::Revocar { nombre } => {
            let revoke = |account: &mut Account| {
                account.revoke();
                Ok(())
            };
            store.change_account(found(store, nombre).await?.id, revoke).await.map_err(|e| refused(&e))?;
            format!("{nombre}: revoked")
        }
        AccountCommand::RotarFirma => {
            let first = store.signing_keys().await.map_err(|e| refused(&e))?.is_empty();
            let keys = store.add_signing_key(signing::fresh(first).map_err(|e| refused(&e))?, false).await;
            let names: Vec<_> = keys.map_err(|e| refused(&e))?.into_iter().map(|key| key.kid).collect();
            format!("keys: {}", names.join(", "))
        }
    };
    say_done(&done, out)
}

async fn create(
    store: &Store,
    (name, roles, usuario_id): (&AccountName, &[Role], Option<UsuarioId>),
    chosen: Option<&str>,
    out: &mut Report,
) -> Result<(), StartError> {
    let (password, made) = password(chosen)?;
    let contrasena = Hasher::new(1).hash(password).await.map_err(|e| refused(&e))?;
    if store.account_named(name.clone()).await.map_err(|e| refused(&e))?.is_some() {
        return Err(refused(&Error::AccountTaken));
    }
    let line = format!("{name}: {}", names(roles));
    let (nombre, roles) = (name.clone(), roles.to_vec());
    let new = NewAccount { nombre, contrasena, roles, usuario_id, demo: false };
    let add = async { store.add_account(new).await.map(drop) };
    take_effect(add, (&line, made), "the account was not made", out).await
}

async fn change(
    store: &Store,
    name: &AccountName,
    chosen: Option<&str>,
    out: &mut Report,
) -> Result<(), StartError> {
    let (password, made) = password(chosen)?;
    let hash = Hasher::new(1).hash(password).await.map_err(|e| refused(&e))?;
    let account = found(store, name).await?;
    if account.revocada {
        return Err(StartError::new(EX_DATA, format!("{name} is revoked: nobody logs in with it any more")));
    }
    let change = store.change_account(account.id, move |account: &mut Account| {
        account.set_password(hash.clone());
        Ok(())
    });
    take_effect(change, (&format!("{name}: another password"), made), "the password was not changed", out)
        .await
}

/// Lets a password take effect, and says so. One that was made is printed before: else it might be the account's, and nobody
/// have seen it.
async fn take_effect(
    effect: impl Future<Output = Result<(), Error>>,
    (line, made): (&str, Option<String>),
    without: &str,
    out: &mut Report,
) -> Result<(), StartError> {
    let Some(made) = made else {
        effect.await.map_err(|e| refused(&e))?;
        return say_done(line, out);
    };
    out.deliver(&format!("{line}; its password: {made}\n"))
        .map_err(|e| StartError::new(EX_IO, format!("the password cannot be printed: {e}; {without}")))?;
    effect.await.map_err(|e| {
        let StartError { message, exit_code } = refused(&e);
        let printed = match e {
            Error::Store(_) => "whether the password that was printed counts is not known",
            _ => &format!("{without}: the password that was printed is nobody's"),
        };
        StartError::new(exit_code, format!("{message}; {printed}"))
    })
}

/// What was done is done, also where that cannot be said.
fn say_done(done: &str, out: &mut Report) -> Result<(), StartError> {
    let said = writeln!(out, "{done}").and_then(|()| out.flush());
    said.map_err(|e| StartError::new(EX_IO, format!("it was done, but cannot be printed: {e}: {done}")))
}

async fn list(store: &Store, out: &mut Report) -> Result<(), StartError> {
    let unsaid = |e: io::Error| StartError::new(EX_IO, format!("the accounts cannot be printed: {e}"));
    let mut after = 0;
    loop {
        let page = store.accounts(after, PAGE).await.map_err(|e| refused(&e))?;
        for account in &page.rows {
            let usuario = account.usuario_id.map(|id| format!(", usuario {id}")).unwrap_or_default();
            let state = if account.revocada { ", revoked" } else { "" };
            let keys = account.claves.len();
            let line =
                format!("{}: {}{usuario}, API keys: {keys}{state}", account.nombre, names(&account.roles));
            writeln!(out, "{line}").map_err(unsaid)?;
        }
        let Some(last) = page.rows.last().filter(|_| page.next.is_some()) else {
            return out.flush().map_err(unsaid);
        };
        after = last.id;
    }
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

async fn found(store: &Store, name: &AccountName) -> Result<Account, StartError> {
    let found = store.account_named(name.clone()).await.map_err(|e| refused(&e))?;
    found.ok_or_else(|| StartError::new(EX_DATA, format!("there is no account {name}")))
}

/// The password; and its text, where it was made here and has to be shown.
fn password(chosen: Option<&str>) -> Result<(Password, Option<String>), StartError> {
    match chosen {
        Some(text) => {
            let wrong = |detail: Text| {
                StartError::new(EX_USAGE, format!("--contrasena (CONTRASENA): it {}", detail.en))
            };
            Ok((Password::chosen(text).map_err(wrong)?, None))
        }
        None => {
            let fresh = Password::fresh();
            let (password, text) =
                fresh.ok_or_else(|| StartError::new(71, "the system gives no random bytes"))?;
            Ok((password, Some(text)))
        }
    }
}

fn refused(e: &Error) -> StartError {
    StartError::new(if matches!(e, Error::Store(_)) { EX_UNAVAILABLE } else { EX_DATA }, e.to_string())
}
