//! The model's participants and store held against the real ones: the same operations in any order, the same answers, the
//! same state.

use crate::participants::{Hold, Tokens, Usuarios};
use crate::world::{Order, PRECIO, precio};
use journal::{Journal, Model, Need, Options};
use market::contract::{CargoRequest, Refusal, ReservaRequest};
use market::domain::{Clave, Intento, TokenId, UsuarioId};
use market::participant::HoldStore;
use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;
use tokio::runtime::Runtime;
use transacciones::domain::{Aborted, Fate, Word};
use transacciones::store::{Overtaken, Store};

#[derive(Clone, Copy, Debug)]
enum Call {
    /// A reservation, or a debit.
    Hold {
        token: u8,
        usuario: u8,
        monto: u8,
    },
    Confirm,
    Cancel,
}

const TOKENS: u8 = 2;
const USUARIOS: u8 = 2;

fn calls() -> impl Strategy<Value = Vec<(Hold, Call)>> {
    let hold = (0..TOKENS, 0..USUARIOS, prop_oneof![4 => Just(PRECIO), 1 => Just(PRECIO / 2)])
        .prop_map(|(token, usuario, monto)| Call::Hold { token, usuario, monto });
    let call = prop_oneof![4 => hold, 1 => Just(Call::Confirm), 2 => Just(Call::Cancel)];
    let intento = (0..2_u8, 1..4_u8).prop_map(|(clave, numero)| Hold { clave, numero });
    vec((intento, call), 1..60)
}

fn intento(t: Hold) -> Intento {
    Intento { clave: format!("k{}", t.clave).parse().unwrap(), numero: u32::from(t.numero) }
}

fn token(at: u8) -> TokenId {
    TokenId::new(u64::from(at) + 1).unwrap()
}

fn usuario(at: u8) -> UsuarioId {
    UsuarioId::new(u64::from(at) + 1).unwrap()
}

fn journal<M: Model>(dir: &Path, array: &str, elements: &str) -> Journal<M> {
    let seed = dir.join("seed");
    std::fs::create_dir(&seed).unwrap();
    std::fs::write(seed.join(array), elements).unwrap();
    Journal::open(Options { seed_dir: Some(seed), ..Options::new(dir.join("store")) }).unwrap()
}

/// A directory in memory where there is one: what is on the disk is not in question here.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn refusal<E: std::fmt::Debug>(error: E, of: fn(&E) -> Option<Refusal>) -> Refusal {
    of(&error).unwrap_or_else(|| panic!("{error:?}"))
}

fn order(holds: impl IntoIterator<Item = Intento>) -> Vec<Intento> {
    let mut all: Vec<_> = holds.into_iter().collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn tokens_does_what_the_model_says(calls in calls()) {
        let dir = scratch();
        let seed = format!(
            r#"[{{"id":1,"nombre":"a","imagen":"a","precio":{PRECIO},"vendido":false}},
                {{"id":2,"nombre":"b","imagen":"b","precio":{PRECIO},"vendido":false}}]"#
        );
        let service = tokens::store::Store::json(journal(dir.path(), "tokens.json", &seed));
        let mut model = Tokens(vec![crate::participants::Availability::Free; usize::from(TOKENS)]);
        let no = |e| refusal(e, tokens::error::Error::refusal);
        Runtime::new().unwrap().block_on(async {
            for (t, call) in calls {
                let real = match call {
                    Call::Hold { token: at, usuario: owner, .. } => {
                        let order = ReservaRequest { token_id: token(at), usuario_id: usuario(owner) };
                        service.hold(intento(t), order).await.map(|recorded| assert_eq!(recorded.value.precio, precio()))
                    }
                    Call::Confirm => service.confirm(intento(t)).await,
                    Call::Cancel => service.cancel(intento(t)).await,
                };
                let expected = match call {
                    Call::Hold { token, usuario, .. } => model.reserve(t, token, usuario),
                    Call::Confirm => model.confirm(t),
                    Call::Cancel => model.cancel(t),
                };
                prop_assert_eq!(real.map_err(no), expected, "{:?} {:?}", t, call);
                let pending = service.pending(chrono::TimeDelta::zero(), None).await.unwrap();
                prop_assert_eq!(order(pending.into_iter().map(|t| t.intento)), order(model.pending().map(intento)));
            }
            Ok(())
        })?;
    }

    #[test]
    fn usuarios_does_what_the_model_says(calls in calls(), abono in 0..60_usize) {
        let dir = scratch();
        let seed = format!(r#"[{{"id":1,"nombre":"a","saldo":{PRECIO}}},{{"id":2,"nombre":"b","saldo":0}}]"#);
        let service = usuarios::store::Store::json(journal(dir.path(), "usuarios.json", &seed));
        let mut model = Usuarios { saldos: vec![PRECIO, 0], cargos: Vec::new() };
        let no = |e| refusal(e, usuarios::error::Error::refusal);
        Runtime::new().unwrap().block_on(async {
            for (i, (t, call)) in calls.into_iter().enumerate() {
                if i == abono {
                    // twice with one key: it counts once
                    for _ in 0..2 {
                        let clave: Clave = "abono".parse().unwrap();
                        service.credit(usuario(0), precio(), clave).await.unwrap();
                    }
                    model.saldos[0] += PRECIO;
                }
                let real = match call {
                    Call::Hold { usuario: owner, monto, .. } => {
                        let monto = market::domain::Monto::new(u64::from(monto)).unwrap();
                        service.hold(intento(t), CargoRequest { usuario_id: usuario(owner), monto, session: None }).await.map(|_| ())
                    }
                    Call::Confirm => service.confirm(intento(t)).await,
                    Call::Cancel => service.cancel(intento(t)).await,
                };
                let expected = match call {
                    Call::Hold { usuario, monto, .. } => model.charge(t, usuario, monto),
                    Call::Confirm => model.confirm(t),
                    Call::Cancel => model.cancel(t),
                };
                prop_assert_eq!(real.map_err(no), expected, "{:?} {:?}", t, call);
                let mut saldos = Vec::new();
                for owner in 0..USUARIOS {
                    saldos.push(service.usuario(usuario(owner)).await.unwrap().saldo.get());
                }
                prop_assert_eq!(saldos, model.saldos.iter().copied().map(u64::from).collect::<Vec<_>>());
                let pending = service.pending(chrono::TimeDelta::zero(), None).await.unwrap();
                prop_assert_eq!(order(pending.into_iter().map(|t| t.intento)), order(model.pending().map(intento)));
            }
            Ok(())
        })?;
    }

    /// The model keeps of the store what it says of each clave; that is enough to say what each write comes to.
    #[test]
    fn the_store_decides_as_its_word_says(
        writes in vec((0..2_u8, 1..4_u32, any::<bool>(), any::<bool>()), 1..40)
    ) {
        let dir = scratch();
        let store = Store::json(journal(dir.path(), "transacciones.json", "[]"));
        Runtime::new().unwrap().block_on(async {
            for (clave, numero, commit, token_known) in writes {
                let compra = Order::new(clave, 0, clave).compra;
                let intento = Intento { clave: compra.clave.clone(), numero };
                let word = async || store.word(&compra.clave).await.unwrap();
                let before = word().await;
                if commit {
                    let answer = store.commit(intento, &compra, precio()).await.unwrap();
                    prop_assert_eq!(answer.is_ok(), before.fate(numero) == Fate::Open);
                    let after = answer.map_or(before, Word::Bought);
                    prop_assert_eq!(word().await, after);
                } else {
                    let token = token_known.then_some(compra.token_id);
                    let answer = store.abort(Need::End, intento, compra.usuario_id, token).await.unwrap();
                    if let Word::Bought(_) = before {
                        prop_assert_eq!(answer, Err(Overtaken));
                        prop_assert_eq!(word().await, before);
                    } else {
                        prop_assert_eq!(answer, Ok(()));
                        let known = if let Word::Aborted(a) = &before { a.token_id } else { None };
                        let after = match before.fate(numero) {
                            Fate::Lost => before,
                            _ => Word::Aborted(Aborted {
                                clave: compra.clave.clone(),
                                numero,
                                usuario_id: compra.usuario_id,
                                token_id: token.or(known),
                            }),
                        };
                        prop_assert_eq!(word().await, after);
                    }
                }
            }
            Ok(())
        })?;
    }
}
