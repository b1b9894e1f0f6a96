//! A small service, built of this crate alone: notes, each with a name and a weight, in memory.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use clap::Parser;
use http_kit::config::{InternalToken, ServerOptions};
use http_kit::edge::Edge;
use http_kit::exit::StartError;
use http_kit::name::Name;
use http_kit::openapi::schema::Id;
use http_kit::openapi::{Product, described};
use http_kit::ops::{self, Ops};
use http_kit::paging::{Limit, Page};
use http_kit::problem::{Problem, Text};
use http_kit::reply::Representation;
use http_kit::request::Field;
use http_kit::routes::Methods;
use http_kit::server::{self, Server};
use http_kit::validate::{MAX_INTEGER, Parsed, Raw, integer};
use http_kit::{request, text};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use tokio::sync::Notify;
use utoipa::{OpenApi, ToSchema};

/// Serves notes.
#[derive(Clone, Debug, Parser)]
#[command(name = "notes", version)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Port of the API
    #[arg(long, env = "PORT", default_value_t = 0)]
    pub port: u16,
    /// A secret
    #[arg(long, env = "SECRET", hide_env_values = true)]
    pub secret: Option<InternalToken>,
    #[command(flatten)]
    pub server: ServerOptions,
}

http_kit::codes! {
    /// Errors of notes.
    pub enum Code {
        /// No such note.
        NoNote = "no-note", NOT_FOUND, "No existe esta nota", "There is no such note";
    }
}

http_kit::responses! {
    /// Of a route under `/notes/{id}`.
    WithoutNote = [Code::NoNote];
}

const PRODUCT: Product = Product { name: "Notes", about: "Notes of a test.", urn: testkit::URN };

/// The server, ready to run, and where it listens.
pub fn build(config: &Config) -> Result<(Server, SocketAddr), StartError> {
    let hostname = &config.server.hostname;
    let edge = Arc::new(Edge::new(PRODUCT, hostname, config.server.connection_age()));
    let listener = server::listen(&config.host, config.port, "--port (PORT)")?;
    let address = server::address(&listener)?;
    let ops = Data::new(Ops::new("notes", hostname, Arc::clone(&edge), description(), || Ok(()))?);
    let notes = Data::new(Notes::default());
    let mut server = Server::new(&config.server, edge);
    server.serve(listener, move |c| {
        c.app_data(ops.clone()).app_data(notes.clone()).configure(routes).configure(ops::routes);
    })?;
    Ok((server, address))
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/notes").get(list).post(create).done())
        .service(Methods::at("/notes/{id}").get(show).patch(rename).done())
        .service(Methods::at("/notes/{id}/marks").post(mark).done())
        .service(Methods::at("/wait").get(wait).done());
}

fn description() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(list, create, show, rename, mark))]
    struct Api;
    let mut api = Api::openapi();
    // utoipa collects the schemas of bodies, not those of parameters
    api.components.get_or_insert_default().schemas.extend([described::<Weight>()]);
    api
}

#[derive(Default)]
struct Notes {
    all: RwLock<Vec<Note>>,
    marks: AtomicU64,
}

/// How many requests for `/wait` have come.
pub static WAITING: AtomicU64 = AtomicU64::new(0);

/// What `GET /wait` waits for.
pub static GO: Notify = Notify::const_new();

/// A note
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Note {
    id: u64,
    name: String,
    weight: u64,
}

/// The id of a note.
#[derive(Clone, Copy)]
struct NoteId(u64);

impl Field for NoteId {
    type Schema = Id;

    fn read(raw: &Raw) -> Parsed<Self> {
        integer(1..=MAX_INTEGER)(raw).map(Self)
    }
}

/// Grams
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
struct Weight(u64);

impl Field for Weight {
    type Schema = Self;

    fn read(raw: &Raw) -> Parsed<Self> {
        integer(0..=MAX_INTEGER)(raw).map(Self)
    }
}

request! {
    /// Which page
    struct ListNotes {
        query limit "limite": Limit,
        /// The last id of the page before
        query after "despues": Option<NoteId>,
        /// The least weight
        query min: Option<Weight>,
        /// The greatest weight
        query max: Option<Weight>,
    }
    check |f| {
        if let (Some(Some(min)), Some(Some(max))) = (min, max) && min.0 > max.0 {
            f.wrong("min", Text::new("pasa de max", "is above max"));
        }
    }
}

request! {
    /// Which note
    struct OneNote {
        path id: NoteId,
    }
}

request! {
    /// A new note
    struct NewNote as "NewNote" {
        body name: Name,
        /// In grams
        body weight: Weight,
    }
}

request! {
    /// What to change; at least one of these
    struct NotePatch as "NotePatch" with any {
        path id: NoteId,
        body name: Option<Name>,
        body weight: Option<Weight>,
    }
}

request! {
    /// A mark on a note
    struct NewMark as "NewMark" {
        path id: NoteId,
        /// Who marks
        header author "X-Author": Option<Name>,
        body weight: Weight,
    }
}

#[utoipa::path(get, path = "/notes", tag = "notes", params(ListNotes), responses((status = 200, body = Vec<Note>)))]
async fn list(req: HttpRequest, asked: ListNotes, notes: Data<Notes>) -> Result<HttpResponse, Problem> {
    let all = notes.all.read().unwrap();
    let fits = |n: &&Note| {
        n.id > asked.after.as_ref().map_or(0, |id| id.0)
            && asked.min.is_none_or(|w| n.weight >= w.0)
            && asked.max.is_none_or(|w| n.weight <= w.0)
    };
    let rows = all.iter().filter(fits).take(asked.limit.rows() + 1).cloned().collect();
    Ok(Page::new(rows, asked.limit.rows(), all.len(), |n| n.id.to_string()).represent(&req)?.respond(&req))
}

#[utoipa::path(post, path = "/notes", tag = "notes", request_body = NewNote, responses((status = 201, body = Note)))]
async fn create(req: HttpRequest, asked: NewNote, notes: Data<Notes>) -> Result<HttpResponse, Problem> {
    let mut all = notes.all.write().unwrap();
    let note = Note { id: all.len() as u64 + 1, name: asked.name.into_string(), weight: asked.weight.0 };
    all.push(note.clone());
    let location = HeaderValue::try_from(format!("/notes/{}", note.id)).unwrap();
    Ok(Representation::json(&note)?.header(header::LOCATION, location).respond_as(&req, StatusCode::CREATED))
}

#[utoipa::path(get, path = "/notes/{id}", tag = "notes", params(OneNote), responses((status = 200, body = Note), WithoutNote))]
async fn show(req: HttpRequest, asked: OneNote, notes: Data<Notes>) -> Result<HttpResponse, Problem> {
    Ok(Representation::json(&notes.change(asked.id, |_| {})?)?.respond(&req))
}

#[utoipa::path(patch, path = "/notes/{id}", tag = "notes", request_body = NotePatch, params(NotePatch),
    responses((status = 200, body = Note), WithoutNote))]
async fn rename(req: HttpRequest, asked: NotePatch, notes: Data<Notes>) -> Result<HttpResponse, Problem> {
    let note = notes.change(asked.id, |note| {
        note.name = asked.name.map_or(note.name.clone(), Name::into_string);
        note.weight = asked.weight.map_or(note.weight, |w| w.0);
    })?;
    Ok(Representation::json(&note)?.respond(&req))
}

#[utoipa::path(post, path = "/notes/{id}/marks", tag = "notes", request_body = NewMark, params(NewMark),
    responses((status = 201, body = u64), WithoutNote))]
async fn mark(req: HttpRequest, asked: NewMark, notes: Data<Notes>) -> Result<HttpResponse, Problem> {
    notes.change(asked.id, |note| note.weight = asked.weight.0)?;
    let by = asked.author.map_or(0, |name| name.into_string().len() as u64);
    let marks = notes.marks.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(Representation::json(&(marks, by))?.respond_as(&req, StatusCode::CREATED))
}

async fn wait() -> HttpResponse {
    WAITING.fetch_add(1, Ordering::Relaxed);
    GO.notified().await;
    HttpResponse::NoContent().finish()
}

impl Notes {
    fn change(&self, id: NoteId, change: impl FnOnce(&mut Note)) -> Result<Note, Problem> {
        let mut all = self.all.write().unwrap();
        let note = all.iter_mut().find(|note| note.id == id.0);
        let id = id.0;
        let missing = || Problem::new(Code::NoNote, text!("No hay nota {id}.", "There is no note {id}."));
        let note = note.ok_or_else(missing)?;
        change(note);
        Ok(note.clone())
    }
}
