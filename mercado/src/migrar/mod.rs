//! `mercado migrar --de STORE --a STORE`: a market from one store to another of any kind.
//!
//! In this order: the source is read, and audited; the target begun, written, read back and compared record by record; the
//! source read again and compared; and only then is the target a market. What makes that safe: [`market::moving`].

mod audit;

use crate::config::Migrar;
use audit::audit;
use futures_util::future::LocalBoxFuture;
use http_kit::exit::StartError;
use journal::{Content, contents, difference};
use market::moving::{self, MarketSource, MarketTarget, OpenedTarget};
use market::store::StoreUrl;
use pg::{Part, Tables};
use std::io::{self, Write};
use std::time::Instant;
use usuarios::domain::account::SECRETS;

/// All that a market keeps.
struct Mercado {
    usuarios: usuarios::store::state::State,
    tokens: tokens::store::state::State,
    transacciones: transacciones::store::state::State,
}

fn parts() -> [Part; 3] {
    [
        Part::of::<usuarios::store::state::State>(),
        Part::of::<tokens::store::state::State>(),
        Part::of::<transacciones::store::state::State>(),
    ]
}

/// What a move holds the other side against.
struct Held {
    mercado: Mercado,
    /// Whether one of the stores is a database.
    tables: bool,
}

/// Runs the command; its report goes to `out`.
///
/// # Errors
/// Exit code 64 where both stores are one, 65 where something is not as it must be, 66 where there is no source, 69 where
/// others are at work on a store, 73 and 74 where a store cannot be written or read.
pub fn run<'a>(migrar: &'a Migrar, out: &'a mut dyn Write) -> LocalBoxFuture<'a, Result<(), StartError>> {
    Box::pin(move_market(migrar, out))
}

async fn move_market(Migrar { de, a }: &Migrar, out: &mut dyn Write) -> Result<(), StartError> {
    if moving::is_same(de, a) {
        return Err(moving::one_and_the_same(a));
    }
    let start = Instant::now();
    let mut source = MarketSource::open(de, &parts()).await?;
    let tables = [de, a].iter().any(|url| matches!(url, StoreUrl::Postgres(_)));
    let mercado = Mercado {
        usuarios: read(&mut source, tables).await?,
        tokens: read(&mut source, tables).await?,
        transacciones: read(&mut source, tables).await?,
    };
    let audit = audit(&mercado.usuarios, &mercado.tokens, &mercado.transacciones);
    if let Some(wrong) = audit.diferencias.first() {
        let n = audit.diferencias.len();
        let what = format!(
            "--de {de}: its audit finds {n} differences, the first: {wrong}; nothing was moved. GET /transacciones/auditoria \
             lists them"
        );
        return Err(StartError::new(65, what));
    }
    let held = Held { mercado, tables };
    let done = match MarketTarget::open(a, &parts()).await? {
        OpenedTarget::Empty(target) => {
            held.fill(target, source, de).await?;
            "moved"
        }
        OpenedTarget::Filled(there, _) if there.is(&source) => return Err(moving::one_and_the_same(a)),
        OpenedTarget::Filled(mut there, what) => {
            held.is_what_is_in(&mut there, a, &what).await?;
            "it was moved before"
        }
    };
    let report = held.report(out).and_then(|()| {
        let (n, pendientes) = (audit.transacciones, audit.pendientes);
        writeln!(out, "audit: {n} transacciones, {pendientes} pending, correct on both sides")?;
        let millis = start.elapsed().as_millis();
        writeln!(out, "{done}, and equal record by record: {de} -> {a}, in {millis} ms")
    });
    report.map_err(|e| StartError::new(74, format!("{done}, but the report cannot be written: {e}")))
}

async fn read<M: Tables>(source: &mut MarketSource, tables: bool) -> Result<M, StartError> {
    let model = source.read::<M>().await?;
    Ok(if tables { model.kept_by_tables() } else { model })
}

fn same<M: Tables>(one: &M, other: &M) -> Result<(), String> {
    let of = |model: &M| contents(model).map_err(|e| e.to_string());
    if of(one)? == of(other)? {
        return Ok(());
    }
    let first = difference(one, other, SECRETS).map_err(|e| e.to_string())?;
    Err(first.unwrap_or_else(|| "their records differ".to_owned()))
}

impl Held {
    /// Writes it, and makes it a market if both sides are then what was read.
    async fn fill(
        &self,
        mut target: MarketTarget,
        source: MarketSource,
        de: &StoreUrl,
    ) -> Result<(), StartError> {
        match self.written(&mut target, source, de).await {
            Ok(source) => {
                target.finish().await?;
                // only now may a service change it
                drop(source);
                Ok(())
            }
            Err(e) => {
                target.abandon().await;
                Err(e)
            }
        }
    }

    async fn written(
        &self,
        target: &mut MarketTarget,
        mut source: MarketSource,
        de: &StoreUrl,
    ) -> Result<MarketSource, StartError> {
        let Mercado { usuarios, tokens, transacciones } = &self.mercado;
        target.write(usuarios).await?;
        target.write(tokens).await?;
        target.write(transacciones).await?;
        let kept = |e: String| {
            let what = format!(
                "--a does not keep it as --de has it: {e}; if it had records before, name an empty one. Nothing was moved"
            );
            StartError::new(65, what)
        };
        same(usuarios, &target.read().await?).map_err(kept)?;
        same(tokens, &target.read().await?).map_err(kept)?;
        same(transacciones, &target.read().await?).map_err(kept)?;
        source.again().await?;
        let changed = |e: String| {
            let what = format!(
                "--de {de} changed while it was read ({e}); stop every service on it, and run this again. Nothing was moved"
            );
            StartError::new(69, what)
        };
        same(usuarios, &read(&mut source, self.tables).await?).map_err(changed)?;
        same(tokens, &read(&mut source, self.tables).await?).map_err(changed)?;
        same(transacciones, &read(&mut source, self.tables).await?).map_err(changed)?;
        Ok(source)
    }

    /// Whether a target that has a market has this one.
    async fn is_what_is_in(
        &self,
        there: &mut MarketSource,
        a: &StoreUrl,
        what: &str,
    ) -> Result<(), StartError> {
        let Mercado { usuarios, tokens, transacciones } = &self.mercado;
        let other = |e: String| moving::not_empty(a, what, &e);
        // a market that cannot even be read, since it is at work, is another one as well
        let unread = |e: StartError| other(e.message);
        same(&read(there, self.tables).await.map_err(unread)?, usuarios).map_err(other)?;
        same(&read(there, self.tables).await.map_err(unread)?, tokens).map_err(other)?;
        same(&read(there, self.tables).await.map_err(unread)?, transacciones).map_err(other)
    }

    /// What was moved: records and hash of each collection.
    fn report(&self, out: &mut dyn Write) -> io::Result<()> {
        let Mercado { usuarios, tokens, transacciones } = &self.mercado;
        let all = [contents(usuarios)?, contents(tokens)?, contents(transacciones)?].concat();
        writeln!(out, "{:<14} {:>12}  xxh3-128 of its records", "collection", "records")?;
        for Content { collection, records, hash } in all {
            writeln!(out, "{collection:<14} {records:>12}  {hash:032x}")?;
        }
        let (cargos, ventas) = (usuarios.digest().confirmados, tokens.digest().confirmados);
        let saldos: u128 = usuarios.usuarios.values().map(|u| u128::from(u.saldo.get())).sum();
        writeln!(
            out,
            "credits: {saldos} in balances, {} in confirmed cargos, {} in ventas",
            cargos.suma, ventas.suma
        )
    }
}
