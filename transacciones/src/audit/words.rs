//! A difference in a sentence that people understand, in their language and with names.

use super::report::{Difference, DifferenceKind, Names};
use http_kit::problem::{Lang, Text};
use http_kit::text;
use market::domain::{Monto, TokenId, UsuarioId};
use std::collections::HashMap;
use std::fmt;

/// What is wrong, for a reader of a language.
pub(super) fn sentence(d: &Difference, lang: Lang, names: &Names) -> String {
    let said = said(d, names);
    let mut letters = said.get(lang).chars();
    // a sentence may begin with what has no name
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// For an operator's terminal: in English, and without names.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(intento) = &self.intento {
            write!(f, "{intento}: ")?;
        }
        f.write_str(&sentence(self, Lang::En, &Names::default()))
    }
}

fn said(d: &Difference, names: &Names) -> Text {
    use DifferenceKind as K;
    let id = d.transaccion_id.map_or_else(String::new, |id| format!(" #{id}"));
    let user = d.usuario_id.map_or(0, UsuarioId::get);
    let usuario = called(&names.usuarios, user, "usuario", "user");
    let token = called(&names.tokens, d.token_id.map_or(0, TokenId::get), "token", "token");
    let n = d.monto.map_or(0, Monto::get);
    let credits = match n {
        1 => Text::new("1 crédito", "1 credit"),
        _ => text!("{n} créditos", "{n} credits"),
    };
    let (cobro, los) = if n == 1 { ("cobró", "el") } else { ("cobraron", "los") };
    let (usuario_es, usuario_en, token_es, token_en) = (&usuario.es, &usuario.en, &token.es, &token.en);
    let (es, en) = (&credits.es, &credits.en);
    match d.tipo {
        K::TransaccionWithoutCargo => text!(
            "La compra{id} de {token_es} está anotada, pero a {usuario_es} no se le {cobro} {los} {es}.",
            "Purchase{id} of {token_en} is recorded, but {usuario_en} was not charged the {en}."
        ),
        K::TransaccionWithoutVenta => text!(
            "La compra{id} de {usuario_es} está anotada, pero {token_es} no figura como vendido.",
            "Purchase{id} by {usuario_en} is recorded, but {token_en} is not marked as sold."
        ),
        K::CargoWithoutTransaccion => text!(
            "A {usuario_es} se le {cobro} {es} sin ninguna compra.",
            "{usuario_en} was charged {en} for no purchase."
        ),
        K::VentaWithoutTransaccion => text!(
            "{token_es} figura como vendido a {usuario_es} por {es} sin ninguna compra.",
            "{token_en} is marked as sold to {usuario_en} for {en} without a purchase."
        ),
        K::CargoDiffers => text!(
            "A {usuario_es} se le {cobro} {es}, y la compra{id} dice otra cosa.",
            "{usuario_en} was charged {en}, and purchase{id} says otherwise."
        ),
        K::VentaDiffers => text!(
            "{token_es} figura como vendido a {usuario_es} por {es}, y la compra{id} dice otra cosa.",
            "{token_en} is marked as sold to {usuario_en} for {en}, and purchase{id} says otherwise."
        ),
        K::SaldoUnbalanced => match d.cuenta.unwrap_or(0) {
            1 => Text::new(
                "1 saldo no es la suma de sus movimientos.",
                "1 balance is not the sum of its ledger.",
            ),
            n => text!(
                "{n} saldos no son la suma de sus movimientos.",
                "{n} balances are not the sum of their ledgers."
            ),
        },
    }
}

/// A name; without one, what it is and its id.
fn called(names: &HashMap<u64, String>, id: u64, es: &str, en: &str) -> Text {
    match names.get(&id) {
        Some(name) => text!("{name}", "{name}"),
        None if id == 0 => text!("un {es}", "a {en}"),
        None => text!("{es} #{id}", "{en} #{id}"),
    }
}
