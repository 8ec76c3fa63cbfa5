//! `/cache/{key}`: values, with their types, times, tags and versions.

use super::body::{Body, lent, read, whole};
use super::conditions::{Conditions, etag};
use super::control::Lifetime;
use super::problem::Problem;
use super::types::Refused;
use crate::shared::Shared;
use crate::store::{Expiry, NOBODY, number};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use larder::{Ask, Change, Info, NewValue, SetOptions, State, Ttl, Until, Write};
use std::time::Duration;

/// Values up to this long are copied, longer ones are sent from where they lie.
const COPIED: usize = 16 << 10;
/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The tags of a value.
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Tags of a value at most, as the cache has it.
const MAX_TAGS: usize = 64;

/// GET and HEAD.
pub(super) fn get(
    shared: &Shared,
    key: &[u8],
    headers: &HeaderMap,
    head: bool,
) -> Result<Response<Body>, Problem> {
    let conditions = Conditions::of(headers)?;
    let found = value(shared, key, head)?;
    let Some((bytes, len, info)) = found else { return Err(not_found(key)) };
    if !conditions.matches(Some(info.version)) {
        return Err(failed());
    }
    let known = conditions.is_known(Some(info.version));
    let mut response = Response::new(if known || head { Body::default() } else { whole(bytes) });
    let fields = response.headers_mut();
    fields.insert(ETAG, etag(info.version));
    fields.insert(CACHE_STATUS, status(&info));
    if let Some(ttl) = info.ttl {
        fields.insert(CACHE_CONTROL, text(format!("max-age={}", ttl / 1000)));
    }
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let kind = shared.types.at(number::content_type(info.user));
    fields
        .insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    if head {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    Ok(response)
}

/// A value, its length, and what there is to tell of it, its version included.
fn value(shared: &Shared, key: &[u8], head: bool) -> Result<Option<(Bytes, usize, Info)>, Problem> {
    let store = &shared.store;
    let _turn = store.turns().shared();
    let Some((len, info)) = store.peek(key) else {
        // This counts the miss. What has come meanwhile has come too late.
        drop(store.view(key));
        return Ok(None);
    };
    if info.state == State::Absent {
        return Ok(None);
    }
    if len <= COPIED && !head {
        let mut bytes = Vec::with_capacity(len);
        let ask = Ask { version: true, lease: false };
        let info = store.get_with(key, &mut bytes, ask)?.filter(|info| info.state != State::Absent);
        return Ok(info.map(|info| (bytes.into(), len, info)));
    }
    // The version first: should the value change in between, the tag is an old one and matches
    // nothing.
    let Some(version) = version(shared, key, len)? else { return Ok(None) };
    let info = Info { version, ..info };
    if head {
        return Ok(Some((Bytes::new(), len, info)));
    }
    Ok(store.view(key).map(|view| {
        let len = view.len();
        (lent(view), len, info)
    }))
}

/// The version of a value, which gets one if it has none.
fn version(shared: &Shared, key: &[u8], len: usize) -> Result<Option<u64>, Problem> {
    let done = shared.store.update(NOBODY, key, len, &mut Vec::new(), |current, _| {
        let current = current.filter(|current| current.info.state != State::Absent);
        match current.map(|current| current.info.version) {
            Some(0) => (Change::Store(Write { versioned: true, ..Write::default() }), Some(0)),
            found => (Change::Keep, found),
        }
    })?;
    Ok(match done {
        (Some(0), given) => Some(given),
        (found, _) => found,
    })
}

fn status(info: &Info) -> HeaderValue {
    let ttl = info.ttl.map(|ttl| format!("; ttl={}", ttl / 1000)).unwrap_or_default();
    let stale = if info.state == State::Fresh { "" } else { "; detail=stale" };
    text(format!("larder; hit{ttl}{stale}"))
}

fn text(text: String) -> HeaderValue {
    HeaderValue::from_str(&text).expect("of our own making")
}

fn not_found(key: &[u8]) -> Problem {
    let key = String::from_utf8_lossy(&key[..key.len().min(100)]).into_owned();
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing under {key}"))
        .with(CACHE_STATUS, HeaderValue::from_static("larder; fwd=miss"))
}

fn failed() -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "the value that is there has another version")
}

/// PUT.
pub(super) async fn put(
    shared: &Shared,
    key: &[u8],
    request: Request<Incoming>,
) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let conditions = Conditions::of(headers)?;
    let lifetime = Lifetime::of(headers)?;
    if headers.contains_key("content-range") {
        return Err(Problem::bad("a part of a value can't be stored: Content-Range"));
    }
    let kind = match headers.get(CONTENT_TYPE) {
        Some(kind) => shared.types.place(kind).map_err(refused)?,
        None => 0,
    };
    let tags = tags(headers)?;
    let value = read(body, shared.live.longest_value()).await?;
    let tags: Vec<&[u8]> = tags.iter().map(|tag| tag.as_bytes()).collect();
    let options = SetOptions {
        ttl: Ttl::Never,
        stale_after: lifetime.stale_after,
        tags: &tags,
        user: number::with_content_type(kind),
        ..SetOptions::default()
    };
    store(shared, key, &value, &options, lifetime.ttl, &conditions)
}

fn store(
    shared: &Shared,
    key: &[u8],
    value: &[u8],
    options: &SetOptions<'_>,
    ttl: Option<Duration>,
    conditions: &Conditions,
) -> Result<Response<Body>, Problem> {
    let _turn = shared.store.turns().shared();
    let expiry = ttl.map_or(Expiry::Never, |ttl| Expiry::In(ttl.as_millis() as u64));
    let until = shared.store.until(expiry);
    let done = shared.store.update(NOBODY, key, value.len(), &mut Vec::new(), |current, _| {
        let there = current
            .filter(|current| current.info.state != State::Absent)
            .map(|current| current.info.version);
        if !conditions.admit(there) {
            return (Change::Keep, None);
        }
        let write = |until: Until| Write {
            value: NewValue::Given(value),
            until,
            options: Some(options),
            versioned: true,
            ..Write::default()
        };
        (until.map_or(Change::Remove, |until| Change::Store(write(until))), Some(there.is_some()))
    });
    let (replaced, version) = done?;
    let replaced = replaced.ok_or_else(failed)?;
    let mut response = Response::new(Body::default());
    *response.status_mut() = if replaced { StatusCode::NO_CONTENT } else { StatusCode::CREATED };
    // What is stored for no time at all has none.
    if version != 0 {
        response.headers_mut().insert(ETAG, etag(version));
    }
    Ok(response)
}

fn refused(why: Refused) -> Problem {
    match why {
        Refused::TooLong => Problem::bad("Content-Type has at most 255 bytes here"),
        Refused::Full => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this server has seen 16383 Content-Types, and takes no other",
        ),
    }
}

/// The tags of a value, which blanks separate.
fn tags(headers: &HeaderMap) -> Result<Vec<String>, Problem> {
    let mut tags = Vec::new();
    for line in headers.get_all(SURROGATE_KEY) {
        let line =
            line.to_str().map_err(|_| Problem::bad("Surrogate-Key has bytes that aren't ASCII"))?;
        tags.extend(line.split_ascii_whitespace().map(String::from));
    }
    if tags.len() > MAX_TAGS {
        return Err(Problem::bad(format!("Surrogate-Key has at most {MAX_TAGS} tags")));
    }
    Ok(tags)
}

/// DELETE.
pub(super) fn delete(
    shared: &Shared,
    key: &[u8],
    headers: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    let conditions = Conditions::of(headers)?;
    let _turn = shared.store.turns().shared();
    let deleted = if conditions.is_empty() {
        Some(shared.store.delete(NOBODY, key))
    } else {
        let done = shared.store.update(NOBODY, key, 0, &mut Vec::new(), |current, _| {
            let there = current.map(|current| current.info.version);
            if !conditions.admit(there) {
                return (Change::Keep, None);
            }
            (Change::Remove, Some(there.is_some()))
        });
        done?.0
    };
    if !deleted.ok_or_else(failed)? {
        return Err(not_found(key));
    }
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
