//! Who asks, where people log in: each buyer has an account, an API key and a session of its own, and so has the *office*, which
//! does what no buyer may. Where nobody logs in there are no [`People`], and a request says itself who asks.
//!
//! A session is renewed long before it ends, so that short runs renew some. One that is over is begun again by the API key.

use crate::child;
use crate::history::Op;
use crate::report::Figure;
use crate::shown::{DiskArrays, Usuario};
use crate::t;
use crate::wire::{self, Answer};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;

/// The account of the office, where the laboratory starts the market.
const OFFICE: &str = "oficina";
/// What the office's account must be.
const ROLES: [&str; 3] = ["tesorero", "publicador", "auditor"];
/// The age at which a session is renewed; one lasts 15 minutes.
const RENEWAL: Duration = Duration::from_secs(8);
/// Between two tries to begin or renew a session.
const SOON: Duration = Duration::from_millis(200);
/// A service that takes longer to log somebody in is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// One try to revoke an account.
const TRY: Duration = Duration::from_secs(2);
/// A market that has just been started takes a while.
const START_TIME: Duration = Duration::from_secs(20);

/// In whose name a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nobody's: everybody may do it.
    Visitor,
    /// The office's.
    Office,
    /// Of the account of this usuario.
    Buyer(u64),
}

impl Subject {
    /// Who may do this.
    pub const fn of(op: &Op) -> Self {
        match op {
            Op::Buy { usuario, .. } | Op::Rename { usuario, .. } | Op::ShowUsuario { usuario } => {
                Self::Buyer(*usuario)
            }
            Op::Credit { .. } | Op::ChangePrecio { .. } | Op::CreateToken { .. } => Self::Office,
            Op::ShowToken { .. } | Op::ListTokens => Self::Visitor,
        }
    }

    /// A key of theirs, as a history has it: the same key of two people is two keys.
    pub fn key(self, clave: &str) -> String {
        match self {
            Self::Visitor => clave.to_owned(),
            Self::Office => format!("{OFFICE}/{clave}"),
            Self::Buyer(usuario) => format!("usuario-{usuario}/{clave}"),
        }
    }
}

/// An account, and its session.
struct Person {
    name: String,
    api_key: String,
    login: AsyncMutex<Login>,
}

/// The session of an account.
struct Login {
    token: Option<String>,
    /// When it is begun or renewed.
    due: Instant,
}

/// All accounts of a run.
pub struct People {
    client: reqwest::Client,
    usuarios: String,
    office: Arc<Person>,
    buyers: Mutex<BTreeMap<u64, Arc<Person>>>,
    begun: AtomicU64,
    renewed: AtomicU64,
    refused: AtomicU64,
}

impl Person {
    fn new(name: String, api_key: String) -> Self {
        Self { name, api_key, login: AsyncMutex::new(Login { token: None, due: Instant::now() }) }
    }
}

/// Makes the account of the office in the store of a market that is about to start; its password.
///
/// # Errors
/// What the program says.
pub async fn found(usuarios: &Path, store: &str, seed: &Path) -> Result<String, String> {
    let password = random()?;
    let mut command = child::command(usuarios);
    command.args(["cuenta", "crear", OFFICE]);
    command.args(ROLES.iter().flat_map(|role| ["--rol", role]));
    command.env_clear().env("STORE", store).env("SEED_DIR", seed).env("CONTRASENA", &password);
    let output = command.output().await.map_err(|e| format!("{}: {e}", usuarios.display()))?;
    match output.status.success() {
        true => Ok(password),
        false => Err(format!("usuarios cuenta crear: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// `CUENTAS` of a market, whose office has this password where people log in.
pub fn mode(office: Option<&String>) -> String {
    if office.is_some() { "si" } else { "no" }.to_owned()
}

/// What nobody guesses.
fn random() -> Result<String, String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|e| format!("/dev/urandom: {e}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn word(answer: &Answer, field: &str) -> Result<String, String> {
    let found = answer.body.get(field).and_then(Value::as_str).filter(|_| answer.status == Some(201));
    found.map(str::to_owned).ok_or_else(|| format!("{field}: {}", answer.reason()))
}

/// Whether the session was not good, whatever was asked.
fn is_over(answer: &Answer) -> bool {
    let code = answer.body.get("codigo").and_then(Value::as_str);
    answer.status == Some(401) || (answer.status == Some(403) && code == Some("sesion-terminada"))
}

impl People {
    /// The office of a market that [`found`] was called for; the market may be starting yet.
    ///
    /// # Errors
    /// Where it does not let the office in.
    pub async fn of_office(usuarios: &str, password: &str) -> Result<Self, String> {
        let client = wire::pooled()?;
        let deadline = Instant::now() + START_TIME;
        loop {
            match api_key(&client, usuarios, OFFICE, password).await {
                Ok(key) => return Self::by_key(usuarios, key).await,
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(_) => tokio::time::sleep(SOON).await,
            }
        }
    }

    /// The office of a market that is there already, by the API key of an account of it.
    ///
    /// # Errors
    /// Where the key is not good, or its account may not do all that the office does.
    pub async fn by_key(usuarios: &str, api_key: String) -> Result<Self, String> {
        let client = wire::pooled()?;
        let session = begin(&client, usuarios, &json!({"claveApi": api_key})).await;
        if session.status != Some(201) {
            let why = session.reason();
            return Err(t!(
                "{usuarios} no acepta la clave de API: {why}",
                "{usuarios} does not take the API key: {why}"
            ));
        }
        let roles = session.body.get("roles").cloned().unwrap_or_default();
        let has = |role: &&str| roles.as_array().is_some_and(|all| all.iter().any(|r| r == role));
        if let Some(missing) = ROLES.iter().find(|role| !has(role)) {
            return Err(t!(
                "la cuenta de la clave de API tiene que ser tesorero, publicador y auditor; no es {missing}",
                "the account of the API key must be tesorero, publicador and auditor; it is not {missing}"
            ));
        }
        let office = Arc::new(Person::new(OFFICE.to_owned(), api_key));
        let (usuarios, buyers) = (usuarios.to_owned(), Mutex::default());
        let [begun, renewed, refused] = Default::default();
        Ok(Self { client, usuarios, office, buyers, begun, renewed, refused })
    }

    /// Opens an account for each of these, by the office, and makes its API key. Their names begin with `prefix`.
    ///
    /// # Errors
    /// What the market says instead.
    pub async fn open(&self, usuarios: &[Usuario], prefix: &str) -> Result<(), String> {
        for Usuario { id, .. } in usuarios {
            let (name, password) = (format!("{prefix}-{id}"), random()?);
            // noted before it is there: wherever this ends, what was opened is revoked
            self.buyers().insert(*id, Arc::new(Person::new(name.clone(), String::new())));
            let body = json!({"nombre": name, "contrasena": password, "usuarioId": id});
            let request = self.client.post(format!("{}/cuentas", self.usuarios)).json(&body);
            word(&self.send(Subject::Office, request, PATIENCE).await, "nombre")?;
            let key = api_key(&self.client, &self.usuarios, &name, &password).await?;
            self.buyers().insert(*id, Arc::new(Person::new(name, key)));
        }
        Ok(())
    }

    fn buyers(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Person>>> {
        self.buyers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buyer(&self, usuario: u64) -> Option<Arc<Person>> {
        self.buyers().get(&usuario).cloned()
    }

    /// Revokes what [`People::open`] has opened; says so where some cannot be revoked.
    pub async fn close(&self) {
        let buyers = std::mem::take(&mut *self.buyers());
        let all = async {
            for person in buyers.values() {
                loop {
                    let request = self.client.delete(format!("{}/cuentas/{}", self.usuarios, person.name));
                    let answer = self.send(Subject::Office, request, TRY).await;
                    // 404: it was never opened; 401 and 403: the office's own account is gone
                    if matches!(answer.status, Some(200..=299 | 401 | 403 | 404)) {
                        break;
                    }
                    tokio::time::sleep(SOON).await;
                }
            }
        };
        if tokio::time::timeout(START_TIME, all).await.is_err() {
            complain!("{}", t!("quedan cuentas sin revocar", "accounts are left that were not revoked"));
        }
    }

    /// Sends it in this name. Where its session is over it is sent once more, in another one: the first was not let in.
    pub async fn send(&self, subject: Subject, request: RequestBuilder, patience: Duration) -> Answer {
        let person = match subject {
            Subject::Visitor => return wire::whole(request, patience).await,
            Subject::Office => Some(Arc::clone(&self.office)),
            Subject::Buyer(usuario) => self.buyer(usuario),
        };
        let again = request.try_clone();
        let Some(person) = person else { return Answer::default() };
        let Some(token) = self.token(&person).await else { return Answer::default() };
        let answer = wire::whole(request.bearer_auth(&token), patience).await;
        if !is_over(&answer) {
            return answer;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut login = person.login.lock().await;
        if login.token.as_ref() == Some(&token) {
            *login = Login { token: None, due: Instant::now() };
        }
        drop(login);
        match (again, self.token(&person).await) {
            (Some(again), Some(token)) => wire::whole(again.bearer_auth(token), patience).await,
            _ => Answer::default(),
        }
    }

    /// The person's session; nothing where nobody can log in now.
    async fn token(&self, person: &Person) -> Option<String> {
        let mut login = person.login.lock().await;
        if Instant::now() >= login.due {
            let renewed = match &login.token {
                Some(token) => {
                    let request = self.client.post(format!("{}/sesiones/renovacion", self.usuarios));
                    wire::whole(request.bearer_auth(token), PATIENCE).await
                }
                None => Answer::default(),
            };
            let (answer, count) = if login.token.is_none() || is_over(&renewed) {
                (begin(&self.client, &self.usuarios, &json!({"claveApi": person.api_key})).await, &self.begun)
            } else {
                (renewed, &self.renewed)
            };
            login.due = Instant::now() + SOON;
            if let Ok(token) = word(&answer, "token") {
                count.fetch_add(1, Ordering::Relaxed);
                *login = Login { token: Some(token), due: Instant::now() + RENEWAL };
            }
        }
        login.token.clone()
    }

    /// Ends the session of this usuario's account, and tells nobody who is about to use it.
    pub async fn log_out(&self, usuario: u64) {
        let Some(person) = self.buyer(usuario) else { return };
        if let Some(token) = self.token(&person).await {
            let request = self.client.delete(format!("{}/sesiones", self.usuarios)).bearer_auth(token);
            wire::whole(request, PATIENCE).await;
        }
    }

    /// Sessions so far.
    pub fn figures(&self) -> [Figure; 3] {
        let figure = |what, n: &AtomicU64| Figure::new(what, n.load(Ordering::Relaxed));
        [
            figure(t!("sesiones iniciadas", "sessions begun"), &self.begun),
            figure(t!("sesiones renovadas", "sessions renewed"), &self.renewed),
            figure(t!("sesiones que habían terminado", "sessions that had ended"), &self.refused),
        ]
    }

    /// Whose account has which number, for [`translate`].
    ///
    /// # Errors
    /// Where the accounts cannot be listed.
    pub async fn numbers(&self) -> Result<BTreeMap<u64, Subject>, String> {
        let request = self.client.get(format!("{}/cuentas?limite=1000", self.usuarios));
        let answer = self.send(Subject::Office, request, START_TIME).await;
        let all = answer.body.as_array().ok_or_else(|| format!("GET /cuentas: {}", answer.reason()))?;
        let buyers = self.buyers().clone();
        let mut names: BTreeMap<&str, Subject> =
            buyers.iter().map(|(id, p)| (p.name.as_str(), Subject::Buyer(*id))).collect();
        names.insert(OFFICE, Subject::Office);
        let number =
            |row: &Value| Some((row.get("id")?.as_u64()?, *names.get(row.get("nombre")?.as_str()?)?));
        Ok(all.iter().filter_map(number).collect())
    }
}

/// Says the keys of a store as a history says them, given whose account has which number: the store has `c7:k` where the
/// account 7 has sent `k`.
pub fn translate(disco: &mut DiskArrays, numbers: &BTreeMap<u64, Subject>) {
    let said = |clave: &mut Option<String>| {
        let owned = clave.as_deref().and_then(|c| c.strip_prefix('c')?.split_once(':'));
        let whose = owned.and_then(|(number, key)| Some(numbers.get(&number.parse().ok()?)?.key(key)));
        *clave = whose.or_else(|| clave.take());
    };
    disco.movimientos.iter_mut().for_each(|m| said(&mut m.clave));
    disco.transacciones.iter_mut().for_each(|t| said(&mut t.intento));
}

async fn begin(client: &reqwest::Client, usuarios: &str, body: &Value) -> Answer {
    wire::whole(client.post(format!("{usuarios}/sesiones")).json(body), PATIENCE).await
}

/// Logs in by a password, and makes an API key.
async fn api_key(
    client: &reqwest::Client,
    usuarios: &str,
    name: &str,
    password: &str,
) -> Result<String, String> {
    let session = begin(client, usuarios, &json!({"nombre": name, "contrasena": password})).await;
    let request =
        client.post(format!("{usuarios}/cuenta/claves-api")).json(&json!({"nombre": "laboratorio"}));
    let made = wire::whole(request.bearer_auth(word(&session, "token")?), PATIENCE).await;
    word(&made, "claveApi")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_on_disk_is_its_persons() {
        let (one, two) = (Subject::Buyer(1), Subject::Buyer(2));
        assert_ne!(one.key("k"), two.key("k"));
        let text = r#"{"usuarios":[],"tokens":[],
            "movimientos":[{"id":1,"usuarioId":1,"tipo":"abono","monto":1,"clave":"c1:a"}],
            "transacciones":[{"id":1,"usuarioId":1,"tokenId":1,"fecha":"","precio":1,"intento":"c7:k#2"},
                {"id":2,"usuarioId":2,"tokenId":2,"fecha":"","precio":1,"intento":"c9:k#1"}]}"#;
        let mut disco: DiskArrays = serde_json::from_str(text).unwrap();
        translate(&mut disco, &BTreeMap::from([(1, Subject::Office), (7, one)]));
        assert_eq!(disco.movimientos[0].clave.as_deref(), Some("oficina/a"));
        assert_eq!(disco.transacciones[0].clave(), Some(one.key("k").as_str()));
        assert_eq!(disco.transacciones[1].clave(), Some("c9:k"), "nobody of ours has sent it");
    }
}
