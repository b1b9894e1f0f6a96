//! The shop that everybody writes: it looks whether the token is free, takes the money, marks the token, records the
//! purchase, and keeps all of that in a JSON file that it writes anew each time. No keys, no recovery, no fsync. Each
//! line looks right; the checker says what it loses.

use actix_web::middleware::DefaultHeaders;
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{App, HttpResponse, HttpServer, get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::shown::{Token, Transaccion, Usuario};

/// As long as a call to another service takes.
const CALL: Duration = Duration::from_millis(2);

#[derive(Default, Serialize, Deserialize)]
struct Contents {
    usuarios: Vec<Usuario>,
    tokens: Vec<Token>,
    transacciones: Vec<Transaccion>,
}

struct Shop {
    contents: Mutex<Contents>,
    file: PathBuf,
    /// The point of a purchase at which this process dies, as in the market.
    dies_at: Option<String>,
}

impl Shop {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self, point: &str) {
        if self.dies_at.as_deref() == Some(point) {
            std::process::abort();
        }
    }

    fn save(&self, contents: &Contents) {
        if let Ok(text) = serde_json::to_vec(contents) {
            let _ = std::fs::write(&self.file, text);
        }
    }
}

/// Serves on `PORT` until it is killed; its file is in `DATOS`.
///
/// # Errors
/// What it cannot do without.
pub async fn serve() -> Result<(), String> {
    let var = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let port: u16 = var("PORT")?.parse().map_err(|e| format!("PORT: {e}"))?;
    let file = PathBuf::from(var("DATOS")?).join("tienda.json");
    let seed = PathBuf::from(var("SEED_DIR")?);
    let array = |name: &str| std::fs::read(seed.join(name)).unwrap_or_default();
    // a file that cannot be read is no file: the shop opens anyway
    let contents = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let contents = contents.unwrap_or_else(|| Contents {
        usuarios: serde_json::from_slice(&array("usuarios.json")).unwrap_or_default(),
        tokens: serde_json::from_slice(&array("tokens.json")).unwrap_or_default(),
        transacciones: Vec::new(),
    });
    let shop =
        Data::new(Shop { contents: Mutex::new(contents), file, dies_at: std::env::var("FALLO_EN").ok() });
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| "tienda".to_owned());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shop.clone())
            .wrap(DefaultHeaders::new().add(("X-Pod", name.as_str())))
            .service(alive)
            .service(usuarios)
            .service(show_usuario)
            .service(credit)
            .service(rename)
            .service(tokens)
            .service(show_token)
            .service(create)
            .service(change)
            .service(transacciones)
            .service(buy)
    })
    .workers(2)
    .bind((Ipv4Addr::LOCALHOST, port))
    .map_err(|e| format!("port {port}: {e}"))?;
    server.run().await.map_err(|e| format!("server: {e}"))
}

fn one<T: Serialize>(found: Option<T>) -> HttpResponse {
    match found {
        Some(found) => HttpResponse::Ok().json(found),
        None => no(404, "no-encontrado"),
    }
}

fn no(status: u16, code: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).json(json!({"codigo": code}))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    despues: u64,
    limite: Option<usize>,
}

fn page<T: Serialize>(all: &[T], id: impl Fn(&T) -> u64, p: &PageQuery) -> HttpResponse {
    let rows: Vec<_> = all.iter().filter(|x| id(x) > p.despues).take(p.limite.unwrap_or(100)).collect();
    HttpResponse::Ok().json(rows)
}

#[get("/readyz")]
async fn alive() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[get("/usuarios")]
async fn usuarios(t: Data<Shop>, p: Query<PageQuery>) -> HttpResponse {
    page(&t.contents().usuarios, |u| u.id, &p)
}

#[get("/usuarios/{id}")]
async fn show_usuario(t: Data<Shop>, id: Path<u64>) -> HttpResponse {
    one(t.contents().usuarios.iter().find(|u| u.id == *id))
}

#[post("/usuarios/{id}/abonos")]
async fn credit(t: Data<Shop>, id: Path<u64>, body: Json<Value>) -> HttpResponse {
    let mut contents = t.contents();
    let monto = body.get("monto").and_then(|m| m.as_i64()).unwrap_or_default();
    let Some(u) = contents.usuarios.iter_mut().find(|u| u.id == *id) else {
        return no(404, "usuario-no-encontrado");
    };
    u.saldo += monto;
    t.save(&contents);
    HttpResponse::Created().json(json!({"usuarioId": *id, "monto": monto}))
}

#[patch("/usuarios/{id}")]
async fn rename(t: Data<Shop>, id: Path<u64>, body: Json<Value>) -> HttpResponse {
    let mut contents = t.contents();
    let Some(u) = contents.usuarios.iter_mut().find(|u| u.id == *id) else {
        return no(404, "usuario-no-encontrado");
    };
    body.get("nombre").and_then(|n| n.as_str()).unwrap_or_default().clone_into(&mut u.nombre);
    let answer = one(Some(&*u));
    t.save(&contents);
    answer
}

#[get("/tokens")]
async fn tokens(t: Data<Shop>, p: Query<PageQuery>) -> HttpResponse {
    page(&t.contents().tokens, |u| u.id, &p)
}

#[get("/tokens/{id}")]
async fn show_token(t: Data<Shop>, id: Path<u64>) -> HttpResponse {
    one(t.contents().tokens.iter().find(|x| x.id == *id))
}

#[post("/tokens")]
async fn create(t: Data<Shop>, body: Json<Value>) -> HttpResponse {
    let mut contents = t.contents();
    let id = contents.tokens.last().map_or(1, |x| x.id + 1);
    let nombre = body.get("nombre").and_then(|n| n.as_str()).unwrap_or_default().to_owned();
    let precio = body.get("precio").and_then(|p| p.as_u64()).unwrap_or_default();
    let token = Token { id, nombre, precio, vendido: false };
    contents.tokens.push(token.clone());
    t.save(&contents);
    HttpResponse::Created().json(token)
}

#[patch("/tokens/{id}")]
async fn change(t: Data<Shop>, id: Path<u64>, body: Json<Value>) -> HttpResponse {
    let mut contents = t.contents();
    let Some(x) = contents.tokens.iter_mut().find(|x| x.id == *id) else {
        return no(404, "token-no-encontrado");
    };
    x.precio = body.get("precio").and_then(|p| p.as_u64()).unwrap_or_default();
    let answer = one(Some(&*x));
    t.save(&contents);
    answer
}

#[get("/transacciones")]
async fn transacciones(t: Data<Shop>, p: Query<PageQuery>) -> HttpResponse {
    page(&t.contents().transacciones, |x| x.id, &p)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compra {
    usuario_id: u64,
    token_id: u64,
}

#[post("/transacciones")]
async fn buy(t: Data<Shop>, compra: Json<Compra>) -> HttpResponse {
    let Compra { usuario_id, token_id } = *compra;
    let token = t.contents().tokens.iter().find(|x| x.id == token_id).cloned();
    let Some(Token { precio, vendido, .. }) = token else { return no(404, "token-no-encontrado") };
    if vendido {
        return no(409, "token-no-disponible");
    }
    tokio::time::sleep(CALL).await;
    t.reached("tras-reserva");
    {
        let mut contents = t.contents();
        let Some(u) = contents.usuarios.iter_mut().find(|u| u.id == usuario_id) else {
            return no(404, "usuario-no-encontrado");
        };
        let costs = i64::try_from(precio).unwrap_or(i64::MAX);
        if u.saldo < costs {
            return no(409, "saldo-insuficiente");
        }
        u.saldo -= costs;
        t.save(&contents);
    }
    t.reached("tras-cargo");
    tokio::time::sleep(CALL).await;
    {
        let mut contents = t.contents();
        contents.tokens.iter_mut().filter(|x| x.id == token_id).for_each(|x| x.vendido = true);
        t.save(&contents);
    }
    t.reached("tras-venta");
    let mut contents = t.contents();
    let id = contents.transacciones.last().map_or(1, |x| x.id + 1);
    let fecha = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string();
    let bought = Transaccion { id, usuario_id, token_id, fecha, precio, intento: None };
    contents.transacciones.push(bought.clone());
    t.save(&contents);
    t.reached("tras-compra");
    HttpResponse::Created().json(bought)
}
