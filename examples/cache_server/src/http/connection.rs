//! A connection that speaks HTTP/1.1, for the cache's interface and the admin pages.

use super::body::Body;
use super::route::route;
use crate::edges::Patient;
use crate::shared::Shared;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a client may take from one request's end to the end of the next one's head, where the
/// settings don't say less.
const HEAD: Duration = Duration::from_secs(75);
/// Bytes of a request's head at most, and of answers that wait to be written.
const BUFFER: usize = 128 << 10;

/// Serves a client of `/cache/{key}` until it goes, or the server stops.
///
/// # Errors
/// Those of the connection.
pub async fn serve<S>(stream: S, shared: Arc<Shared>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _open = shared.http.opened();
    let answering = shared.clone();
    let ended = drive(stream, &shared, move |request| {
        let shared = answering.clone();
        async move { route(&shared, request).await }
    })
    .await;
    if ended.as_ref().is_err_and(hyper::Error::is_timeout) {
        shared.http.cut();
    }
    ended
}

/// Serves a client with a function that answers requests.
///
/// # Errors
/// Those of the connection.
pub async fn drive<S, F, A>(stream: S, shared: &Shared, answer: F) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Body>>,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(shared.live.timeout().unwrap_or(HEAD).min(HEAD));
    http.max_buf_size(BUFFER);
    http.half_close(true);
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(Patient::new(stream)), service));
    let mut stop = shared.stopping();
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.wait() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
