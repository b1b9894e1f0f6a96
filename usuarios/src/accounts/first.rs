//! The accounts that a market without any begins with: that of an option, or on this machine those of the sample market.

use super::hasher::{Hasher, Password};
use super::options::LoginOptions;
use crate::domain::account::AccountName;
use crate::error::Error;
use crate::store::{NewAccount, Store};
use market::accounts::rules::Role;
use market::domain::UsuarioId;

/// A usuario of the sample market: its id and name.
type SampleUsuario = (u64, &'static str);
/// The accounts of the sample market, which the README publishes: name, role, and of compradores the usuario.
const DEMO: [(&str, Role, Option<SampleUsuario>); 5] = [
    ("ana", Role::Buyer, Some((1, "Ana"))),
    ("luis", Role::Buyer, Some((2, "Luis"))),
    ("publicador", Role::Publisher, None),
    ("tesorero", Role::Treasurer, None),
    ("auditor", Role::Auditor, None),
];

/// Makes them where there are none. A process that died among those of the sample market makes the rest.
pub(super) async fn prepare(
    store: &Store,
    hasher: &Hasher,
    options: &LoginOptions,
    loopback: bool,
) -> Result<(), Error> {
    let oldest = store.accounts(0, 1).await?.rows.pop();
    match (&oldest, &options.first_account) {
        (Some(oldest), _) if !oldest.demo => Ok(()),
        (None, Some(first)) => {
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
        let contrasena = hasher.hash(Password::given(&format!("demo-{name}"))).await?;
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
