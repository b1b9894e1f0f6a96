//! What the law says of accounts.

use crate::law::id;
use futures_util::future::join_all;
use market::accounts::rules::Role;
use serde_json::json;
use testkit::data::{Kind, TestData};
use usuarios::accounts::signing;
use usuarios::domain::account::{Account, Secret, SigningKey};
use usuarios::error::Error;
use usuarios::store::{NewAccount, Store};

/// A store of two users, and two processes that have it open.
async fn two_processes(kind: Kind) -> (TestData, Store, Store) {
    let people = json!([{"id": 1, "nombre": "Ana", "saldo": 100}, {"id": 2, "nombre": "Luis", "saldo": 150}]);
    let data = TestData::new(kind, &[("usuarios", people)]).await;
    let open = || Store::new(data.open());
    let (one, two) = (open(), open());
    (data, one, two)
}

fn new(name: &str, usuario: Option<u64>) -> NewAccount {
    NewAccount {
        nombre: name.parse().unwrap(),
        contrasena: Secret::new("$argon2id$".to_owned()),
        roles: vec![if usuario.is_some() { Role::Buyer } else { Role::Auditor }],
        usuario_id: usuario.map(id),
        demo: false,
    }
}

pub async fn two_accounts_have_two_names_and_two_usuarios(kind: Kind) {
    let (_data, one, two) = two_processes(kind).await;
    let ana = one.add_account(new("ana", Some(1))).await.unwrap();
    assert_eq!((ana.id, ana.version), (1, 1));
    assert_eq!(two.account_named("ANA".parse().unwrap()).await.unwrap(), Some(ana.clone()));
    for (wrong, why) in [
        (new("ana", Some(2)), Error::AccountTaken),
        (new("ana2", Some(1)), Error::AccountTaken),
        (new("eva", Some(3)), Error::UsuarioNotFound(id(3))),
        (NewAccount { usuario_id: None, ..new("luis", Some(2)) }, Error::BuyerNeedsUsuario),
        (NewAccount { usuario_id: Some(id(2)), ..new("luis", None) }, Error::BuyerNeedsUsuario),
    ] {
        let refused = two.add_account(wrong).await.unwrap_err();
        assert_eq!(refused.to_string(), why.to_string());
    }
    // of many at once, one has the name and one has the usuario
    let at_once = (0..8).map(|n| (if n % 2 == 0 { &one } else { &two }).add_account(new("luis", Some(2))));
    let made = join_all(at_once).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    let auditors = join_all(
        (0..6).map(|n| (if n % 2 == 0 { &one } else { &two }).add_account(new(&format!("a{n}"), None))),
    )
    .await;
    assert!(auditors.iter().all(Result::is_ok), "{auditors:?}");
    let page = one.accounts(2, 3).await.unwrap();
    assert_eq!((page.total, page.rows.iter().map(|a| a.id).collect::<Vec<_>>()), (8, vec![3, 4, 5]));
    // a name is never given again; a usuario can have another account once the first is revoked
    two.change_account(ana.id, |account| {
        account.revoke();
        Ok(())
    })
    .await
    .unwrap();
    assert!(one.account(ana.id).await.unwrap().unwrap().revocada);
    assert!(one.add_account(new("ana", None)).await.is_err());
    let again = one.add_account(new("ana2", Some(1))).await.unwrap();
    assert_eq!(again.id, 9);
}

pub async fn changes_of_an_account_at_once_are_all_made(kind: Kind) {
    let (data, one, two) = two_processes(kind).await;
    let ana = one.add_account(new("ana", Some(1))).await.unwrap();
    let count = |account: &mut Account| {
        account.version += 1;
        Ok(account.version)
    };
    let seen =
        join_all((0..10).map(|n| (if n % 2 == 0 { &one } else { &two }).change_account(ana.id, count))).await;
    let mut seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
    seen.sort_unstable();
    assert_eq!(seen, (2..=11).collect::<Vec<_>>(), "each saw what the one before had made");
    let refused = one
        .change_account(ana.id, |account| {
            account.version = 99;
            Err::<(), _>(Error::TooManyKeys)
        })
        .await;
    assert!(matches!(refused, Err(Error::TooManyKeys)));
    assert!(matches!(one.change_account(7, count).await, Err(Error::AccountNotFound)));
    let late = Store::new(data.open());
    assert_eq!(late.account(ana.id).await.unwrap().unwrap().version, 11, "what is refused changes nothing");
    assert!(late.account(7).await.unwrap().is_none());
}

pub async fn processes_that_start_together_sign_with_one_key(kind: Kind) {
    let (data, one, two) = two_processes(kind).await;
    let fresh = || signing::fresh(true).unwrap();
    let at_once = (0..6).map(|n| (if n % 2 == 0 { &one } else { &two }).add_signing_key(fresh(), true));
    let found: Vec<_> = join_all(at_once).await.into_iter().map(Result::unwrap).collect();
    assert!(found.iter().all(|keys| keys.len() == 1 && keys == &found[0]), "{found:?}");
    let kids = |keys: &[SigningKey]| keys.iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
    let (second, third) = (signing::fresh(false).unwrap(), signing::fresh(false).unwrap());
    let keys = two.add_signing_key(second.clone(), false).await.unwrap();
    assert_eq!(kids(&keys), [found[0][0].kid.clone(), second.kid.clone()]);
    let keys = one.add_signing_key(third.clone(), false).await.unwrap();
    assert_eq!(kids(&keys), [second.kid, third.kid], "the oldest of three is gone");
    assert_eq!(Store::new(data.open()).signing_keys().await.unwrap(), keys);
}
