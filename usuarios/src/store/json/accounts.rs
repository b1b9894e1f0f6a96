//! Accounts, in files.

use super::Store;
use crate::domain::account::{Account, AccountName, SigningKey, kept, made_after};
use crate::error::Error;
use crate::store::NewAccount;
use crate::store::state::{Change, State};
use http_kit::paging::Page;
use journal::Need;
use std::ops::Bound;

impl Store {
    pub(in crate::store) async fn account(&self, id: u64) -> Result<Option<Account>, Error> {
        Ok(self.read()?.cuentas.get(&id).map(|account| account.as_ref().clone()))
    }

    pub(in crate::store) async fn account_named(&self, name: AccountName) -> Result<Option<Account>, Error> {
        Ok(self.read()?.account_named(&name).cloned())
    }

    pub(in crate::store) async fn accounts(&self, after: u64, limit: usize) -> Result<Page<Account>, Error> {
        let state = self.read()?;
        let found = state.cuentas.range((Bound::Excluded(after), Bound::Unbounded)).take(limit + 1);
        let rows = found.map(|(_, account)| account.as_ref().clone()).collect();
        Ok(Page::new(rows, limit, state.cuentas.len(), |a: &Account| a.id.to_string()))
    }

    pub(in crate::store) async fn add_account(&self, new: NewAccount) -> Result<Account, Error> {
        self.write(Need::Add, move |tx| {
            if let Some(usuario) = new.usuario_id {
                tx.usuario(usuario)?;
            }
            let id = tx.cuentas.get_max().map_or(0, |(id, _)| *id) + 1;
            let account = new.numbered(id);
            check_unique(tx, &account)?;
            tx.put(Change::Account(account.clone()));
            Ok(account)
        })
        .await
    }

    pub(in crate::store) async fn change_account<T: Send + 'static>(
        &self,
        id: u64,
        f: impl Fn(&mut Account) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        self.write(Need::Begin, move |tx| {
            let before = tx.cuentas.get(&id).ok_or(Error::AccountNotFound)?.as_ref();
            let mut account = before.clone();
            let value = f(&mut account)?;
            if account != *before {
                tx.put(Change::Account(account));
            }
            Ok(value)
        })
        .await
    }

    pub(in crate::store) async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        Ok(self.read()?.signing_keys())
    }

    pub(in crate::store) async fn add_signing_key(
        &self,
        new: SigningKey,
        only_first: bool,
    ) -> Result<Vec<SigningKey>, Error> {
        self.write(Need::Begin, move |tx| {
            let before = tx.signing_keys();
            if only_first && !before.is_empty() {
                return Ok(before);
            }
            let new = SigningKey { creada: made_after(before.last(), new.creada), ..new };
            let after = kept(before.clone(), new.clone());
            for gone in before.into_iter().filter(|key| !after.contains(key)) {
                tx.put(Change::RemoveSigningKey { kid: gone.kid });
            }
            tx.put(Change::SigningKey(new));
            Ok(after)
        })
        .await
    }
}

fn check_unique(state: &State, account: &Account) -> Result<(), Error> {
    let taken = state.account_named(&account.nombre).is_some()
        || account.usuario_id.is_some_and(|usuario| state.account_of(usuario).is_some());
    if taken { Err(Error::AccountTaken) } else { Ok(()) }
}
