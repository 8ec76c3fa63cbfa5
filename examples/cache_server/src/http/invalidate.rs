//! `POST /invalidate`: by tags, keys, a prefix, or everything; hard (gone) or soft (stale, and whoever
//! reads it next is to fetch it anew).

use super::body::{Body, whole};
use super::problem::Problem;
use crate::shared::Shared;
use crate::store::NOBODY;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use larder::{Change, State, Write};
use serde_json::{Map, Value, json};

/// Bytes of an order at most.
pub(super) const MOST: usize = 1 << 20;
/// Keys that are changed before others have their turn.
const AT_ONCE: usize = 256;
/// Steps of a walk through all keys before others have their turn.
const STEPS: usize = 64;

/// What is to be invalidated.
#[derive(Default)]
struct Order {
    tags: Vec<String>,
    keys: Vec<String>,
    prefix: Option<String>,
    all: bool,
    soft: bool,
}

/// Carries out an order.
pub(super) async fn invalidate(shared: &Shared, text: &[u8]) -> Result<Response<Body>, Problem> {
    let order = Order::read(text)?;
    for tags in order.tags.chunks(AT_ONCE) {
        let turn = shared.store.turns().shared();
        for tag in tags {
            shared.store.invalidate(NOBODY, tag.as_bytes(), order.soft)?;
        }
        drop(turn);
        tokio::task::yield_now().await;
    }
    let keys: Vec<Vec<u8>> = order.keys.iter().map(|key| key.clone().into_bytes()).collect();
    let mut count = each(shared, &keys, order.soft).await?;
    if order.all && !order.soft {
        let _turn = shared.store.turns().shared();
        count += shared.store.stats().entries;
        shared.store.clear(NOBODY);
    } else if order.all || order.prefix.is_some() {
        let prefix = order.prefix.as_deref().unwrap_or_default();
        count += walk(shared, prefix.as_bytes(), order.soft).await?;
    }
    // Entries with a tag are found when they are read: nobody has counted them.
    let told = json!({ "entries": count, "tags": order.tags.len() });
    let mut response = Response::new(whole(told.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Invalidates keys, and counts those that were there.
async fn each(shared: &Shared, keys: &[Vec<u8>], soft: bool) -> Result<u64, Problem> {
    let mut count = 0;
    for keys in keys.chunks(AT_ONCE) {
        let turn = shared.store.turns().shared();
        for key in keys {
            count += u64::from(one(shared, key, soft)?);
        }
        drop(turn);
        tokio::task::yield_now().await;
    }
    Ok(count)
}

fn one(shared: &Shared, key: &[u8], soft: bool) -> Result<bool, Problem> {
    if !soft {
        return Ok(shared.store.delete(NOBODY, key));
    }
    let Some((len, _)) = shared.store.peek(key) else { return Ok(false) };
    let (found, _) = shared.store.update(NOBODY, key, len, &mut Vec::new(), |current, _| {
        if current.is_none_or(|current| current.info.state == State::Absent) {
            return (Change::Keep, false);
        }
        (Change::Store(Write { stale: true, ..Write::default() }), true)
    })?;
    Ok(found)
}

/// Invalidates all keys with a prefix: walks through all that are there, in steps.
async fn walk(shared: &Shared, prefix: &[u8], soft: bool) -> Result<u64, Problem> {
    let (mut count, mut cursor) = (0, Some(0));
    while let Some(_at) = cursor {
        let mut keys = Vec::new();
        for _ in 0..STEPS {
            let Some(at) = cursor else { break };
            cursor = shared.store.cache().scan(at, |key, _| {
                if key.starts_with(prefix) {
                    keys.push(key.to_vec());
                }
            })?;
        }
        count += each(shared, &keys, soft).await?;
        tokio::task::yield_now().await;
    }
    Ok(count)
}

impl Order {
    fn read(text: &[u8]) -> Result<Order, Problem> {
        let wrong = |error: &dyn std::fmt::Display| Problem::bad(format!("not JSON: {error}"));
        let value: Value = serde_json::from_slice(text).map_err(|error| wrong(&error))?;
        let Value::Object(fields) = value else {
            return Err(Problem::bad("an object is wanted: {\"tags\": [\"...\"]}"));
        };
        let known = ["tags", "keys", "prefix", "all", "mode"];
        if let Some(stranger) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            return Err(Problem::bad(format!("{stranger:?} is none of {known}")));
        }
        let order = Order {
            tags: strings(&fields, "tags")?,
            keys: strings(&fields, "keys")?,
            prefix: match fields.get("prefix") {
                None => None,
                Some(Value::String(prefix)) if !prefix.is_empty() => Some(prefix.clone()),
                Some(_) => return Err(Problem::bad("prefix must be a string that isn't empty")),
            },
            all: match fields.get("all") {
                None => false,
                Some(Value::Bool(all)) => *all,
                Some(_) => return Err(Problem::bad("all must be true or false")),
            },
            soft: match fields.get("mode").map(Value::as_str) {
                None | Some(Some("hard")) => false,
                Some(Some("soft")) => true,
                Some(_) => return Err(Problem::bad("mode must be \"hard\" or \"soft\"")),
            },
        };
        if order.tags.is_empty() && order.keys.is_empty() && order.prefix.is_none() && !order.all {
            return Err(Problem::bad("nothing is named: tags, keys, prefix or all"));
        }
        Ok(order)
    }
}

fn strings(fields: &Map<String, Value>, name: &str) -> Result<Vec<String>, Problem> {
    let wrong = || Problem::bad(format!("{name} must be an array of strings that aren't empty"));
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().filter(|text| !text.is_empty()).map(String::from))
            .collect::<Option<_>>()
            .ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}
