//! The accounts that a market without any begins with: that of an option, or on this machine those of the sample market.

use super::demo::{self, DEMO};
use super::hasher::{Hasher, Password};
use super::options::LoginOptions;
use crate::domain::account::AccountName;
use crate::error::Error;
use crate::store::{NewAccount, Store};
use market::accounts::rules::Role;
use market::domain::UsuarioId;

/// Makes them where there are none. A process that died among those of the sample market makes the rest.
pub(super) async fn prepare(
    store: &Store,
    hasher: &Hasher,
    options: &LoginOptions,
    loopback: bool,
) -> Result<(), Error> {
    let accounts = store.accounts(0, DEMO.len() + 1).await?.rows;
    match &options.first_account {
        _ if accounts.first().is_some_and(|oldest| !oldest.demo) => Ok(()),
        // on another address those of the sample market are as good as none
        Some(first) if accounts.iter().all(|account| account.demo && !loopback) => {
            if accounts.iter().any(|account| account.nombre == first.name) {
                log::error!(
                    "FIRST_ACCOUNT: {} is an account of the sample market; give another name",
                    first.name
                );
                return Ok(());
            }
            let contrasena = hasher.hash(Password::given(first.password.expose())).await?;
            let (nombre, roles) = (first.name.clone(), vec![Role::Treasurer]);
            add(store, NewAccount { nombre, contrasena, roles, usuario_id: None, demo: false }).await
        }
        _ if loopback => add_demo(store, hasher).await,
        _ => Ok(()),
    }
}

/// Another process may be preparing the same store.
async fn add(store: &Store, new: NewAccount) -> Result<(), Error> {
    let name = new.nombre.clone();
    match store.add_account(new).await {
        Ok(_) => log::info!("the account {name} was made"),
        Err(Error::AccountTaken) => {}
        Err(e) => return Err(e),
    }
    Ok(())
}

async fn add_demo(store: &Store, hasher: &Hasher) -> Result<(), Error> {
    for (_, _, usuario) in DEMO {
        let Some((id, nombre)) = usuario else { continue };
        let id = UsuarioId::new(id).ok_or(Error::NoIdsLeft)?;
        match store.usuario(id).await {
            Ok(found) if found.nombre == nombre => {}
            // not the sample market: whose accounts would they be?
            Ok(_) | Err(Error::UsuarioNotFound(_)) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    let mut made = false;
    for (name, role, usuario) in DEMO {
        let nombre: AccountName = name.parse().map_err(Error::bug)?;
        if store.account_named(nombre.clone()).await?.is_some() {
            continue;
        }
        let contrasena = hasher.hash(Password::given(&demo::password(name))).await?;
        let usuario_id = usuario.and_then(|(id, _)| UsuarioId::new(id));
        add(store, NewAccount { nombre, contrasena, roles: vec![role], usuario_id, demo: true }).await?;
        made = true;
    }
    if made {
        log::warn!(
            "the sample market has accounts whose passwords are in the README; they count on a loopback address only"
        );
    }
    Ok(())
}
