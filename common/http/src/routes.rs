//! A path with its methods: HEAD wherever there is a GET, and 405 with `Allow` for the rest. Before each handler stands the
//! check of [`crate::access`].

use crate::access::{Guarded, Pattern};
use crate::problem::{General, Problem, shown};
use crate::text;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, web};

/// Builds one resource of a route table: `Methods::at("/notes").get(list).post(create).done()`.
pub struct Methods {
    resource: Resource,
    allow: Vec<Method>,
}

impl Methods {
    /// The path pattern.
    pub fn at(path: &'static str) -> Self {
        Self { resource: web::resource(path).app_data(Pattern(path)), allow: Vec::new() }
    }

    /// GET, and HEAD by the same handler (the body is left out on the wire).
    #[must_use]
    pub fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::HEAD, handler.clone()).on(Method::GET, handler)
    }

    /// POST.
    #[must_use]
    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    /// PUT.
    #[must_use]
    pub fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PUT, handler)
    }

    /// DELETE.
    #[must_use]
    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    /// PATCH.
    #[must_use]
    pub fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, handler)
    }

    /// Any method.
    #[must_use]
    pub fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.allow.push(method.clone());
        self.resource = self.resource.route(Route::new().method(method).to(Guarded(handler)));
        self
    }

    /// The resource for the route table.
    pub fn done(self) -> Resource {
        let allow = self.allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        self.resource.default_service(web::to(move |req: HttpRequest| {
            let problem = not_allowed(req.method(), &allow);
            async move { Err::<&'static str, _>(problem) }
        }))
    }
}

fn not_allowed(method: &Method, allow: &str) -> Problem {
    let method = shown(method.as_str());
    let detail = text!("{method} no; {allow} sí.", "Not {method}, but {allow}.");
    Problem { allow: Some(allow.to_owned()), ..Problem::new(General::MethodNotAllowed, detail) }
}
