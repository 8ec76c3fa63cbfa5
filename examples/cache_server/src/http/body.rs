//! Bodies: those that are sent, in the cache's memory or out of it, and those that come.

use super::problem::Problem;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::body::Body as _;
use larder::View;
use std::time::Duration;

/// A body that is sent.
pub type Body = Full<Bytes>;

/// Room that is made for a body before any of it has come.
const FIRST: usize = 64 << 10;
/// How long a client may take for the next piece of a body.
const PIECE: Duration = Duration::from_secs(60);

/// A value in the cache's memory, as bytes: the memory isn't used again until they are dropped.
struct Lent(View);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes of a view, without a copy.
pub(super) fn lent(view: View) -> Bytes {
    Bytes::from_owner(Lent(view))
}

/// A body of text.
pub(crate) fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
}

/// Reads a body of at most so many bytes. Memory is taken as they come, whatever the client says of
/// their number.
pub(crate) async fn read(mut body: hyper::body::Incoming, most: usize) -> Result<Bytes, Problem> {
    let told = body.size_hint();
    if told.lower() > most as u64 {
        return Err(too_large(most));
    }
    let mut bytes = BytesMut::with_capacity((told.lower() as usize).min(FIRST));
    loop {
        let next = tokio::time::timeout(PIECE, body.frame()).await;
        let Ok(next) = next else {
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come"));
        };
        match next {
            None => return Ok(bytes.freeze()),
            Some(Err(_)) => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "the body broke off"));
            }
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > most {
                    return Err(too_large(most));
                }
                if bytes.is_empty() && body.is_end_stream() {
                    return Ok(data);
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes here"))
}
