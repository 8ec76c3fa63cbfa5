//! Which request is for whom.

use super::body::{Body, read, whole};
use super::key::key;
use super::problem::Problem;
use super::{COMMANDS, OPENAPI, entries, invalidate};
use crate::config::Live;
use crate::shared::Shared;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use std::time::Instant;

/// Answers a request.
pub(super) async fn route(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let began = Instant::now();
    let kind = kind(&request);
    shared.http.command(kind as usize);
    let head = request.method() == Method::HEAD;
    let response = answer(shared, request, kind).await.unwrap_or_else(Problem::response);
    shared.http.took(1, began.elapsed());
    if head { without_body(response) } else { response }
}

/// What a HEAD gets: the fields of a GET, and no body.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    *response.body_mut() = Body::default();
    response
}

fn kind(request: &Request<Incoming>) -> super::Request {
    use super::Request;
    let path = request.uri().path();
    debug_assert_eq!(COMMANDS.len(), Request::Other as usize + 1);
    match (request.method(), path) {
        (&Method::POST, "/invalidate") => Request::Invalidate,
        (&Method::GET, "/stats") => Request::Stats,
        (&Method::GET, path) if path.starts_with("/cache/") => Request::Get,
        (&Method::HEAD, path) if path.starts_with("/cache/") => Request::Head,
        (&Method::PUT, path) if path.starts_with("/cache/") => Request::Put,
        (&Method::DELETE, path) if path.starts_with("/cache/") => Request::Delete,
        _ => Request::Other,
    }
}

async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
    kind: super::Request,
) -> Result<Response<Body>, Problem> {
    use super::Request as Kind;
    if !admitted(&shared.live, request.headers()) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "the password is wanted as a bearer token",
        )
        .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"larder\"")));
    }
    let path = request.uri().path().to_owned();
    let named = path.strip_prefix("/cache/");
    match (kind, named) {
        (Kind::Get | Kind::Head, Some(named)) => {
            entries::get(shared, &key(named)?, request.headers(), kind == Kind::Head)
        }
        (Kind::Put, Some(named)) => entries::put(shared, &key(named)?, request).await,
        (Kind::Delete, Some(named)) => entries::delete(shared, &key(named)?, request.headers()),
        (Kind::Invalidate, _) => {
            let order = read(request.into_body(), invalidate::MOST).await?;
            invalidate::invalidate(shared, &order).await
        }
        (Kind::Stats, _) => Ok(json(super::stats(shared).to_string())),
        _ => other(request.method(), &path),
    }
}

fn other(method: &Method, path: &str) -> Result<Response<Body>, Problem> {
    let allowed = match path {
        "/openapi.json" if method == Method::GET || method == Method::HEAD => {
            return Ok(json(OPENAPI));
        }
        "/openapi.json" | "/stats" => "GET",
        "/invalidate" => "POST",
        path if path.starts_with("/cache/") => "GET, HEAD, PUT, DELETE",
        _ => {
            let what = "there is /cache/{key}, /invalidate, /stats and /openapi.json";
            return Err(Problem::new(StatusCode::NOT_FOUND, what));
        }
    };
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is none of {allowed}"))
        .with(ALLOW, HeaderValue::from_static(allowed)))
}

/// An answer in JSON.
fn json(text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(whole(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a request shows the password: as a bearer token, or with any name by basic
/// authentication.
pub(crate) fn admitted(live: &Live, headers: &HeaderMap) -> bool {
    if !live.wants_password() {
        return true;
    }
    let Some(shown) = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) else { return false };
    let Some(blank) = memchr::memchr(b' ', shown) else { return false };
    let (scheme, shown) = (&shown[..blank], shown[blank..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return live.admits(shown);
    }
    let decoded = STANDARD.decode(shown).unwrap_or_default();
    let password = memchr::memchr(b':', &decoded).map(|at| &decoded[at + 1..]);
    scheme.eq_ignore_ascii_case(b"basic") && password.is_some_and(|password| live.admits(password))
}
