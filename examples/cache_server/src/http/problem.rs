//! What is wrong with a request, as `application/problem+json` (RFC 9457).

use super::body::{Body, whole};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::borrow::Cow;

/// A request that is refused, and why.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    why: Cow<'static, str>,
    field: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// With a status and a reason for people.
    pub fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, why: why.into(), field: None }
    }

    /// A request that makes no sense.
    pub fn bad(why: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, why)
    }

    /// With a header field.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.field = Some((name, value));
        self
    }

    /// The answer.
    pub fn response(self) -> Response<Body> {
        let text = serde_json::json!({
            "title": self.status.canonical_reason().unwrap_or("error"),
            "status": self.status.as_u16(),
            "detail": self.why,
        });
        let mut response = Response::new(whole(text.to_string()));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        if let Some((name, value)) = self.field {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<larder::Error> for Problem {
    fn from(error: larder::Error) -> Problem {
        use larder::Error;
        let status = match error {
            Error::KeyTooLarge => StatusCode::URI_TOO_LONG,
            Error::ValueTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Error::TooManyTags => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string())
    }
}
