//! The customers: they buy, add money, rename, change prices and look, and write down every answer.

use crate::azar::Azar;
use crate::history::{Fin, Linea, Op, Peticion, Registro, Token};
use crate::http::{self, Direcciones};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Free tokens that all customers chase: few, so that they meet.
const ESCAPARATE: usize = 24;
/// Longer than a purchase's own deadline and the waits around it.
const PACIENCIA: Duration = Duration::from_secs(6);

/// What all customers share.
pub struct Publico {
    /// Where the market is.
    pub market: Direcciones,
    /// What they write down.
    pub registro: Arc<Registro>,
    /// Ids of the users.
    pub usuarios: Vec<u64>,
    free: Mutex<BTreeMap<u64, u64>>,
    stop: AtomicBool,
}

impl Publico {
    /// In front of these tokens.
    pub fn new(market: Direcciones, registro: Arc<Registro>, usuarios: Vec<u64>, tokens: &[Token]) -> Self {
        let free = Mutex::new(tokens.iter().map(|t| (t.id, t.precio)).collect());
        Self { market, registro, usuarios, free, stop: AtomicBool::new(false) }
    }

    /// Starts so many customers.
    ///
    /// # Errors
    /// Where a client cannot be made.
    pub fn start(self: &Arc<Self>, n: u64, semilla: u64) -> Result<JoinSet<Result<(), String>>, String> {
        let mut all = JoinSet::new();
        for cliente in 1..=n {
            let http = http::client(cliente % 2 == 0)?;
            let azar = Azar::new(semilla, cliente);
            let cliente =
                Cliente { id: cliente, http, azar, publico: Arc::clone(self), claves: 0, mine: Vec::new() };
            all.spawn(cliente.run());
        }
        Ok(all)
    }

    /// They end what they are doing.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, u64>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Cliente {
    id: u64,
    http: reqwest::Client,
    azar: Azar,
    publico: Arc<Publico>,
    claves: u64,
    mine: Vec<u64>,
}

impl Cliente {
    async fn run(mut self) -> Result<(), String> {
        while !self.publico.stopped() {
            let pause = self.azar.millis(0..=60);
            tokio::time::sleep(pause).await;
            let few = self.publico.shelf().len() < ESCAPARATE;
            match self.azar.between(1..=100) {
                _ if few && self.azar.percent(70) => self.stock().await?,
                1..=50 => self.buy().await?,
                51..=60 => self.buy_without_key().await?,
                61..=74 => self.pay_in().await?,
                75..=77 => self.rename().await?,
                78..=83 => self.reprice().await?,
                84..=95 => self.look().await?,
                _ => {
                    let usuario = self.usuario();
                    self.ask(Op::VerUsuario { usuario }, None, PACIENCIA).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, op: Op, clave: Option<&str>, patience: Duration) -> Result<Peticion, String> {
        let registro = &self.publico.registro;
        let desde = registro.now();
        let answer = http::send(&self.http, &self.publico.market, &op, clave, patience).await;
        let hasta = registro.now();
        let (estado, cuerpo) = answer.map_or((None, serde_json::Value::Null), |(s, b)| (Some(s), b));
        let clave = clave.map(str::to_owned);
        let peticion = Peticion { cliente: self.id, op, clave, desde, hasta, estado, cuerpo };
        registro.write(&Linea::Peticion(peticion.clone()))?;
        Ok(peticion)
    }

    fn usuario(&mut self) -> u64 {
        self.azar.pick(&self.publico.usuarios).copied().unwrap_or(1)
    }

    fn token(&mut self) -> (u64, u64) {
        let free: Vec<_> = self.publico.shelf().iter().take(ESCAPARATE).map(|(id, p)| (*id, *p)).collect();
        self.azar.pick(&free).copied().unwrap_or((1, 1))
    }

    fn clave(&mut self, of: &str) -> String {
        self.claves += 1;
        format!("{of}-{}-{}", self.id, self.claves)
    }

    /// Mostly as long as it takes; sometimes a customer hangs up.
    fn patience(&mut self) -> Duration {
        if self.azar.percent(12) { self.azar.millis(2..=400) } else { PACIENCIA }
    }

    fn compra(&mut self) -> Op {
        let usuario = self.usuario();
        let (token, seen) = self.token();
        // the last one may have been a while ago: some have changed meanwhile
        let precio = self.azar.percent(50).then_some(seen);
        Op::Comprar { usuario, token, precio }
    }

    /// Repeats with one key until there is an answer for good.
    async fn insist(&mut self, op: &Op, clave: &str) -> Result<Peticion, String> {
        let mut holds = 0;
        loop {
            let patience = self.patience();
            let p = self.ask(op.clone(), Some(clave), patience).await?;
            holds += 1;
            let tired = self.azar.percent(4) || holds > 40 || (self.publico.stopped() && holds > 3);
            if p.fin() != Fin::Abierto || tired {
                return Ok(p);
            }
            let pause = self.azar.millis(20..=500);
            tokio::time::sleep(pause).await;
        }
    }

    async fn buy(&mut self) -> Result<(), String> {
        let (op, clave) = (self.compra(), self.clave("compra"));
        let first = if self.azar.percent(10) {
            // one key, twice at once
            let (a, b) = tokio::join!(
                self.ask(op.clone(), Some(&clave), PACIENCIA),
                self.ask(op.clone(), Some(&clave), PACIENCIA)
            );
            let (a, b) = (a?, b?);
            if a.fin() == Fin::Abierto || b.fin() == Fin::Abierto {
                self.insist(&op, &clave).await?
            } else {
                a
            }
        } else {
            self.insist(&op, &clave).await?
        };
        self.noticed(&first);
        let again = match first.fin() {
            Fin::Hecho => 20,
            Fin::Rechazado => 10,
            Fin::Abierto => 0,
        };
        if self.azar.percent(again) {
            let second = self.insist(&op, &clave).await?;
            self.noticed(&second);
        }
        Ok(())
    }

    async fn buy_without_key(&mut self) -> Result<(), String> {
        let (op, patience) = (self.compra(), self.patience());
        let p = self.ask(op, None, patience).await?;
        self.noticed(&p);
        Ok(())
    }

    fn noticed(&mut self, p: &Peticion) {
        let Op::Comprar { token, .. } = p.op else { return };
        match p.fin() {
            Fin::Hecho => {
                self.publico.shelf().remove(&token);
                self.mine.push(token);
            }
            // held or sold; some go on trying
            Fin::Rechazado if self.azar.percent(30) => {
                self.publico.shelf().remove(&token);
            }
            Fin::Rechazado | Fin::Abierto => {}
        }
    }

    async fn pay_in(&mut self) -> Result<(), String> {
        let (usuario, clave) = (self.usuario(), self.clave("abono"));
        let op = Op::Abonar { usuario, monto: self.azar.between(1..=150) };
        let p = self.insist(&op, &clave).await?;
        if p.fin() == Fin::Hecho && self.azar.percent(10) {
            self.insist(&op, &clave).await?;
        }
        Ok(())
    }

    async fn rename(&mut self) -> Result<(), String> {
        let (usuario, nombre) = (self.usuario(), self.clave("Nombre"));
        let patience = self.patience();
        self.ask(Op::Renombrar { usuario, nombre }, None, patience).await?;
        Ok(())
    }

    async fn reprice(&mut self) -> Result<(), String> {
        let (token, _) = self.token();
        let (precio, patience) = (self.azar.between(1..=60), self.patience());
        let p = self.ask(Op::CambiarPrecio { token, precio }, None, patience).await?;
        // most notice; the others go on with the price that they saw
        if p.fin() == Fin::Hecho && self.azar.percent(70) {
            self.publico.shelf().entry(token).and_modify(|p| *p = precio);
        }
        Ok(())
    }

    async fn stock(&mut self) -> Result<(), String> {
        let (nombre, precio) = (self.clave("Ficha"), self.azar.between(1..=60));
        let p = self.ask(Op::CrearToken { nombre, precio }, None, PACIENCIA).await?;
        if let (Fin::Hecho, Some(id)) = (p.fin(), p.numero("id")) {
            self.publico.shelf().insert(id, precio);
        }
        Ok(())
    }

    /// At what it bought last, or at what is there.
    async fn look(&mut self) -> Result<(), String> {
        let last = self.mine.len().saturating_sub(6);
        let mine = self.mine.get(last..).unwrap_or_default();
        let token = match self.azar.pick(mine) {
            Some(token) if self.azar.percent(70) => *token,
            _ => self.token().0,
        };
        let p = self.ask(Op::VerToken { token }, None, PACIENCIA).await?;
        if p.cuerpo.get("vendido").and_then(|v| v.as_bool()) == Some(true) {
            self.publico.shelf().remove(&token);
        }
        Ok(())
    }
}
