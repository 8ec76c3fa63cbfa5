//! The admin port: metrics for Prometheus, health, and a page with live numbers.
//!
//! Health is told to whoever asks; the rest wants the password where there is one.

mod metrics;
mod page;

pub use metrics::metrics;

use crate::http::{self, Body, Problem};
use crate::shared::Shared;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves a client of the admin port until it goes, or the server stops.
///
/// # Errors
/// Those of the connection.
pub async fn serve<S>(stream: S, shared: Arc<Shared>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = shared.clone();
    http::drive(stream, &shared, move |request| {
        let response = answer(&asked, &request).unwrap_or_else(Problem::response);
        std::future::ready(response)
    })
    .await
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Result<Response<Body>, Problem> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed")
            .with(ALLOW, HeaderValue::from_static("GET, HEAD")));
    }
    match request.uri().path() {
        "/healthz" => return Ok(text("ok\n", "text/plain")),
        "/readyz" if shared.is_ready() => return Ok(text("ready\n", "text/plain")),
        "/readyz" => return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping")),
        _ => {}
    }
    if !http::admitted(&shared.live, request.headers()) {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "the password is wanted").with(
            WWW_AUTHENTICATE,
            // Basic too: a browser asks its user for it.
            HeaderValue::from_static("Basic realm=\"larder\", Bearer realm=\"larder\""),
        ));
    }
    match request.uri().path() {
        "/metrics" => Ok(text(metrics(shared), "text/plain; version=0.0.4; charset=utf-8")),
        "/stats" => Ok(text(http::stats(shared).to_string(), "application/json")),
        "/" => Ok(page::page()),
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is /, /metrics, /stats, /healthz and /readyz",
        )),
    }
}

fn text(body: impl Into<bytes::Bytes>, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(http::whole(body));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
