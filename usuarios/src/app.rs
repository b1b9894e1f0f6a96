//! The only wiring: a configuration comes in, and a service that is ready to run goes out.

use crate::accounts::charges::Charges;
use crate::accounts::directory::Directory;
use crate::accounts::options::LoginOptions;
use crate::config::Config;
use crate::routes;
use crate::store::Store;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use http_kit::metrics::Metrics;
use market::accounts::mode::is_loopback;
use market::accounts::verifier::Verifier;
use market::accounts::{AccountOptions, Accounts, Mode};
use market::host::{Host, Serving};
use market::participant;
use std::sync::Arc;

/// The service's own part of a process: its store, and where people log in, their accounts. Clones share everything.
#[derive(Clone)]
pub struct People {
    /// Users and their money.
    pub store: Store,
    /// Debits, as purchases ask for them.
    pub charges: Charges,
    /// Who may log in.
    pub directory: Option<Directory>,
    /// How tokens are verified.
    pub accounts: Accounts,
}

impl People {
    /// Begins with a process that listens on `host`. Must be called on the process's Tokio runtime.
    ///
    /// # Errors
    /// Exit code 64 where it is not said whether people log in, and must be.
    pub fn start(
        store: Store,
        host: &str,
        options: &AccountOptions,
        logins: &LoginOptions,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let (accounts, directory) = match options.mode(host)? {
            Mode::Off => (Accounts::off(), None),
            Mode::On => {
                let verifier = Verifier::default();
                let loopback = is_loopback(host);
                let directory = Directory::start(store.clone(), logins, verifier.clone(), loopback, metrics);
                let sessions = Arc::new(directory.clone());
                (Accounts::on(verifier, options.is_behind_gateway(), Some(sessions)), Some(directory))
            }
        };
        let charges = Charges::new(store.clone(), directory.clone());
        Ok(Self { store, charges, directory, accounts })
    }

    /// Whether the process can do what it has to with accounts.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let directory = self.directory.clone();
        move || {
            let ready = directory.as_ref().is_none_or(Directory::is_ready);
            if ready { Ok(()) } else { Err("no session can be signed yet".to_owned()) }
        }
    }

    /// The routes of the public port.
    pub fn public(&self) -> impl Fn(&mut ServiceConfig) + Send + Sync + Clone + 'static {
        let (store, directory) = (Data::new(self.store.clone()), self.directory.clone().map(Data::new));
        move |c: &mut ServiceConfig| {
            c.app_data(store.clone()).configure(routes::public);
            if let Some(directory) = &directory {
                c.app_data(directory.clone()).configure(routes::accounts);
            }
        }
    }

    /// The routes of the internal port.
    pub fn internal(&self) -> impl Fn(&mut ServiceConfig) + Send + Sync + 'static {
        let (charges, directory) = (Data::new(self.charges.clone()), self.directory.clone().map(Data::new));
        move |c: &mut ServiceConfig| {
            c.app_data(charges.clone()).configure(participant::routes::<Charges>);
            if let Some(directory) = &directory {
                c.app_data(directory.clone()).configure(routes::public_keys);
            }
        }
    }
}

/// Opens the store, then the ports. Must be called on a Tokio runtime.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving, StartError> {
    let options = &config.host;
    options.accounts.mode(&options.host)?;
    let mut host = Host::new("usuarios", &options.server, &options.store);
    let (store, kept) = Store::open(&host, &[])?;
    host.keep(kept);
    let people = People::start(store, &options.host, &options.accounts, &config.logins, &host.edge.metrics)?;
    host.require(people.readiness());
    let ops = host.ops(routes::openapi(people.accounts.is_on()), &people.accounts)?;
    host.serve(ops, options.public(people.public()), Some(options.internal(people.internal())?))
}
