//! `If-Match` and `If-None-Match` (RFC 9110, 13.1): the entity tag of a value is its version, which
//! no other value of the key ever had.

use super::problem::Problem;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

/// What must be true of the value that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Conditions {
    matching: Option<Tags>,
    not_matching: Option<Tags>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Tags {
    Any,
    /// Versions. What isn't a tag of ours is none.
    Some(Vec<u64>),
}

/// The entity tag of a version.
pub(super) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version:x}\"")).expect("hex digits")
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Result<Conditions, Problem> {
        // A weak tag matches nothing where the bytes must be the same.
        let matching = tags(headers, &IF_MATCH, false)?;
        Ok(Conditions { matching, not_matching: tags(headers, &IF_NONE_MATCH, true)? })
    }

    /// Whether a change may be made. `there`: the version of the value that is there.
    pub(super) fn admit(&self, there: Option<u64>) -> bool {
        self.matches(there) && !self.is_known(there)
    }

    /// Whether `If-Match`, if there is one, is met.
    pub(super) fn matches(&self, there: Option<u64>) -> bool {
        self.matching.as_ref().is_none_or(|tags| tags.have(there))
    }

    /// Whether `If-None-Match` names what is there.
    pub(super) fn is_known(&self, there: Option<u64>) -> bool {
        self.not_matching.as_ref().is_some_and(|tags| tags.have(there))
    }

    /// Whether there is no condition at all.
    pub(super) fn is_empty(&self) -> bool {
        self.matching.is_none() && self.not_matching.is_none()
    }
}

impl Tags {
    fn have(&self, there: Option<u64>) -> bool {
        match (self, there) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Some(versions), Some(version)) => version != 0 && versions.contains(&version),
        }
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName, weak: bool) -> Result<Option<Tags>, Problem> {
    let mut found = None;
    for line in headers.get_all(name) {
        let wrong = || Problem::bad(format!("{name} must be * or tags in quotes"));
        let line = line.to_str().map_err(|_| wrong())?.trim();
        if line == "*" {
            return Ok(Some(Tags::Any));
        }
        let Tags::Some(versions) = found.get_or_insert(Tags::Some(Vec::new())) else { break };
        for tag in line.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let (is_weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
            let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let tag = tag.ok_or_else(wrong)?;
            if !is_weak || weak {
                versions.extend(u64::from_str_radix(tag, 16));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: HeaderName, lines: &[&'static str]) -> Conditions {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_static(line));
        }
        Conditions::of(&headers).unwrap()
    }

    #[test]
    fn tags_are_versions() {
        let some = conditions(IF_MATCH, &["\"a\", \"ff\"", "\"foreign\""]);
        assert!(some.matches(Some(10)) && some.matches(Some(255)));
        assert!(!some.matches(Some(1)) && !some.matches(None));
        let any = conditions(IF_MATCH, &["*"]);
        assert!(any.matches(Some(0)) && !any.matches(None));
        assert!(!conditions(IF_MATCH, &["W/\"a\""]).matches(Some(10)));
        assert!(conditions(IF_NONE_MATCH, &["W/\"a\""]).is_known(Some(10)));
        assert!(conditions(IF_NONE_MATCH, &["*"]).admit(None));
        assert!(!conditions(IF_NONE_MATCH, &["*"]).admit(Some(1)));
        assert_eq!(etag(255), "\"ff\"");
    }
}
