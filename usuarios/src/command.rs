//! `cuenta …`: accounts, by whoever can read and write the store. It works beside a service that runs on the same store, as a
//! second process would.

use crate::accounts::hasher::{Hasher, Password};
use crate::accounts::signing;
use crate::domain::account::{Account, AccountName};
use crate::error::Error;
use crate::store::state::State;
use crate::store::{NewAccount, Store};
use clap::Subcommand;
use http_kit::exit::{EX_USAGE, StartError};
use http_kit::metrics::Metrics;
use http_kit::problem::Text;
use market::accounts::rules::Role;
use market::domain::UsuarioId;
use market::store::{Place, Sample, StoreOptions};
use std::io::Write;
use std::time::{Duration, Instant};

/// Of `sysexits.h`: what was asked for cannot be done with the data that there are.
const EX_DATA: i32 = 65;
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

/// Runs the command on a store, which begins with the sample where it was never used; its report goes to `out`.
///
/// # Errors
/// Exit code 64 for a bad password, 65 where the account cannot be made or is not there, 69 where the store cannot be reached.
pub async fn run(
    command: &AccountCommand,
    (options, sample): (&StoreOptions, Sample),
    out: &mut impl Write,
) -> Result<(), StartError> {
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

async fn on(store: &Store, command: &AccountCommand, out: &mut impl Write) -> Result<(), StartError> {
    let said = match command {
        AccountCommand::Crear { nombre, roles, usuario, contrasena } => {
            let (password, shown) = password(contrasena.as_deref())?;
            let contrasena = Hasher::new(1).hash(password).await.map_err(|e| refused(&e))?;
            let (nombre, roles) = (nombre.clone(), roles.clone());
            let new = NewAccount { nombre, contrasena, roles, usuario_id: *usuario, demo: false };
            let account = store.add_account(new).await.map_err(|e| refused(&e))?;
            format!("{}: {}{shown}", account.nombre, names(&account.roles))
        }
        AccountCommand::Listar => return list(store, out).await,
        AccountCommand::Contrasena { nombre, contrasena } => {
            let (password, shown) = password(contrasena.as_deref())?;
            let hash = Hasher::new(1).hash(password).await.map_err(|e| refused(&e))?;
            let change = move |account: &mut Account| {
                account.contrasena = hash.clone();
                account.demo = false;
                account.end_all();
                Ok(())
            };
            store.change_account(number(store, nombre).await?, change).await.map_err(|e| refused(&e))?;
            format!("{nombre}: another password{shown}")
        }
        AccountCommand::Revocar { nombre } => {
            let revoke = |account: &mut Account| {
                account.revoke();
                Ok(())
            };
            store.change_account(number(store, nombre).await?, revoke).await.map_err(|e| refused(&e))?;
            format!("{nombre}: revoked")
        }
        AccountCommand::RotarFirma => {
            let first = store.signing_keys().await.map_err(|e| refused(&e))?.is_empty();
            let keys = store.add_signing_key(signing::fresh(first).map_err(|e| refused(&e))?, false).await;
            let names: Vec<_> = keys.map_err(|e| refused(&e))?.into_iter().map(|key| key.kid).collect();
            format!("keys: {}", names.join(", "))
        }
    };
    writeln!(out, "{said}").map_err(|e| StartError::new(EX_IO, e.to_string()))
}

async fn list(store: &Store, out: &mut impl Write) -> Result<(), StartError> {
    let mut after = 0;
    loop {
        let page = store.accounts(after, PAGE).await.map_err(|e| refused(&e))?;
        for account in &page.rows {
            let usuario = account.usuario_id.map(|id| format!(", usuario {id}")).unwrap_or_default();
            let state = if account.revocada { ", revoked" } else { "" };
            let keys = account.claves.len();
            let line =
                format!("{}: {}{usuario}, API keys: {keys}{state}", account.nombre, names(&account.roles));
            writeln!(out, "{line}").map_err(|e| StartError::new(EX_IO, e.to_string()))?;
        }
        let Some(last) = page.rows.last().filter(|_| page.next.is_some()) else { return Ok(()) };
        after = last.id;
    }
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

async fn number(store: &Store, name: &AccountName) -> Result<u64, StartError> {
    let found = store.account_named(name.clone()).await.map_err(|e| refused(&e))?;
    found
        .map(|account| account.id)
        .ok_or_else(|| StartError::new(EX_DATA, format!("there is no account {name}")))
}

/// The password, and what is printed of it: one that was chosen is not shown.
fn password(chosen: Option<&str>) -> Result<(Password, String), StartError> {
    match chosen {
        Some(text) => {
            let wrong = |detail: Text| {
                StartError::new(EX_USAGE, format!("--contrasena (CONTRASENA): it {}", detail.en))
            };
            Ok((Password::chosen(text).map_err(wrong)?, String::new()))
        }
        None => {
            let fresh = Password::fresh();
            let (password, text) =
                fresh.ok_or_else(|| StartError::new(71, "the system gives no random bytes"))?;
            Ok((password, format!("; its password: {text}")))
        }
    }
}

fn refused(e: &Error) -> StartError {
    StartError::new(if matches!(e, Error::Store(_)) { EX_UNAVAILABLE } else { EX_DATA }, e.to_string())
}
