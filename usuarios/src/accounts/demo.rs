//! The accounts of the sample market, which count on this machine only.

use market::accounts::rules::Role;

/// A usuario of the sample market: its id and name.
pub(super) type SampleUsuario = (u64, &'static str);
/// The accounts of the sample market, which the README publishes: name, role, and of compradores the usuario.
pub(super) const DEMO: [(&str, Role, Option<SampleUsuario>); 5] = [
    ("ana", Role::Buyer, Some((1, "Ana"))),
    ("luis", Role::Buyer, Some((2, "Luis"))),
    ("publicador", Role::Publisher, None),
    ("tesorero", Role::Treasurer, None),
    ("auditor", Role::Auditor, None),
];

/// The password of an account of the sample market.
pub(super) fn password(name: &str) -> String {
    format!("demo-{name}")
}

/// Whether a text is one of them: nobody else may choose it.
pub(super) fn is_published(text: &str) -> bool {
    DEMO.iter().any(|(name, ..)| text == password(name))
}
