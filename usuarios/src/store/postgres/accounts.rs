//! Accounts, in tables. A change reads the record, and writes it only if it is still the same.

use super::Store;
use crate::domain::account::{Account, AccountName, KEYS_KEPT, SigningKey, made_after};
use crate::error::Error;
use crate::store::NewAccount;
use http_kit::paging::Page;
use pg::Link;
use pg::{broken, row_limit, run, written};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Error as SqlError;

/// A record from its column. The error does not repeat what stands there.
pub(super) fn record<T: DeserializeOwned>(datos: &str) -> Result<T, SqlError> {
    serde_json::from_str(datos).map_err(|e| {
        SqlError::Decode(format!("an account's record cannot be read (at column {})", e.column()).into())
    })
}

/// A record for its column.
pub(super) fn column<T: Serialize>(record: &T) -> Result<String, SqlError> {
    serde_json::to_string(record).map_err(|e| SqlError::Encode(e.into()))
}

/// The usuario of an account that is not revoked.
pub(super) fn usuario_column(account: &Account) -> Option<i64> {
    account.usuario_id.filter(|_| !account.revocada).map(|id| written(id.get()))
}

/// The numbers of the keys, and the keys, in the order in which they were made.
async fn keys(c: &mut Link<'_>) -> Result<Vec<(i64, SigningKey)>, SqlError> {
    sqlx::query!("select n, datos from usuarios.firmas order by n")
        .try_map(|row| Ok((row.n, record(&row.datos)?)))
        .fetch_all(c)
        .await
}

/// Those that count.
fn newest(keys: Vec<(i64, SigningKey)>) -> Vec<SigningKey> {
    let surplus = keys.len().saturating_sub(KEYS_KEPT);
    keys.into_iter().skip(surplus).map(|(_, key)| key).collect()
}

impl Store {
    pub(in crate::store) async fn account(&self, id: u64) -> Result<Option<Account>, Error> {
        Ok(run!(self.schema.repeatable(), |c, _| {
            sqlx::query!("select datos from usuarios.cuentas where id = $1", written(id))
                .try_map(|row| record(&row.datos))
                .fetch_optional(c)
                .await
        })?)
    }

    pub(in crate::store) async fn account_named(&self, name: AccountName) -> Result<Option<Account>, Error> {
        Ok(run!(self.schema.repeatable(), |c, _| {
            sqlx::query!("select datos from usuarios.cuentas where nombre = $1", name.as_str())
                .try_map(|row| record(&row.datos))
                .fetch_optional(c)
                .await
        })?)
    }

    pub(in crate::store) async fn accounts(&self, after: u64, limit: usize) -> Result<Page<Account>, Error> {
        // the total counts all rows
        let _turn = self.schema.scan().await?;
        let (rows, total) = run!(self.schema.repeatable(), |c, _| {
            let rows = sqlx::query!(
                "select datos from usuarios.cuentas where id > $1 order by id limit $2",
                written(after),
                row_limit(limit + 1)
            )
            .try_map(|row| record(&row.datos))
            .fetch_all(&mut *c)
            .await?;
            let total = sqlx::query_scalar!(r#"select count(*) as "n!" from usuarios.cuentas"#);
            Ok((rows, total.fetch_one(c).await?))
        })?;
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Page::new(rows, limit, total, |a: &Account| a.id.to_string()))
    }

    pub(in crate::store) async fn add_account(&self, new: NewAccount) -> Result<Account, Error> {
        run!(self.schema.once(), |c, _| {
            loop {
                let last =
                    sqlx::query_scalar!(r#"select coalesce(max(id), 0) as "id!" from usuarios.cuentas"#);
                let id = last.fetch_one(&mut *c).await? + 1;
                let account = new.clone().numbered(u64::try_from(id).unwrap_or_default());
                let made = sqlx::query!(
                    "insert into usuarios.cuentas (id, nombre, usuario_id, datos) values ($1, $2, $3, $4)",
                    id,
                    account.nombre.as_str(),
                    usuario_column(&account),
                    column(&account)?
                );
                return match made.execute(&mut *c).await {
                    Ok(_) => Ok(Ok(account)),
                    Err(e) => match broken(&e) {
                        // somebody else was faster
                        Some("cuentas_pkey") => continue,
                        Some("cuentas_nombre" | "cuentas_usuario") => Ok(Err(Error::AccountTaken)),
                        Some("cuentas_de_usuario") => Ok(Err(account
                            .usuario_id
                            .map_or(Error::BuyerNeedsUsuario, Error::UsuarioNotFound))),
                        _ => Err(e),
                    },
                };
            }
        })?
    }

    pub(in crate::store) async fn change_account<T: Send + 'static>(
        &self,
        id: u64,
        f: impl Fn(&mut Account) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        run!(self.schema.once(), |c, _| {
            loop {
                let found =
                    sqlx::query_scalar!("select datos from usuarios.cuentas where id = $1", written(id));
                let Some(before) = found.fetch_optional(&mut *c).await? else {
                    return Ok(Err(Error::AccountNotFound));
                };
                let mut account: Account = record(&before)?;
                let value = match f(&mut account) {
                    Ok(value) => value,
                    Err(no) => return Ok(Err(no)),
                };
                let done = sqlx::query!(
                    "update usuarios.cuentas set datos = $2, usuario_id = $3 where id = $1 and datos = $4",
                    written(id),
                    column(&account)?,
                    usuario_column(&account),
                    before
                );
                if done.execute(&mut *c).await?.rows_affected() == 1 {
                    return Ok(Ok(value));
                }
                // it changed between the two
            }
        })?
    }

    pub(in crate::store) async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let found = run!(self.schema.repeatable(), |c, _| keys(c).await)?;
        Ok(newest(found))
    }

    pub(in crate::store) async fn add_signing_key(
        &self,
        new: SigningKey,
        only_first: bool,
    ) -> Result<Vec<SigningKey>, Error> {
        let mut new = new;
        let found = run!(self.schema.repeatable(), |c, _| {
            loop {
                let before = keys(&mut *c).await?;
                // an earlier turn may have added it
                let added = before.iter().any(|(_, key)| key.kid == new.kid);
                if added || (only_first && !before.is_empty()) {
                    return Ok(before);
                }
                new.creada = made_after(before.last().map(|(_, key)| key), new.creada);
                let n = before.last().map_or(0, |(n, _)| *n) + 1;
                let made = sqlx::query!(
                    "insert into usuarios.firmas (n, kid, datos) values ($1, $2, $3)",
                    n,
                    new.kid,
                    column(&new)?
                );
                match made.execute(&mut *c).await {
                    Ok(_) => {}
                    // somebody else was faster
                    Err(e) if matches!(broken(&e), Some("firmas_pkey" | "firmas_kid")) => continue,
                    Err(e) => return Err(e),
                }
                let surplus = n - i64::try_from(KEYS_KEPT).unwrap_or(i64::MAX);
                sqlx::query!("delete from usuarios.firmas where n <= $1", surplus).execute(&mut *c).await?;
            }
        })?;
        Ok(newest(found))
    }
}
