//! Content-Types: a value's number has a place in this table, so that values are the clients' bytes
//! and no more, whatever protocol reads them.
//!
//! A type that was once told stays: there are few in the life of a cache. A client that makes up new
//! ones fills the table (at most 4 MiB), and from then on only those in it can be stored.

use crate::store::number::MAX_TYPE;
use hashbrown::HashMap;
use hyper::header::HeaderValue;
use parking_lot::RwLock;

/// Bytes of a type at most.
const MAX_LEN: usize = 255;

/// The types that have been told.
#[derive(Default)]
pub struct Types(RwLock<Table>);

#[derive(Default)]
struct Table {
    types: Vec<HeaderValue>,
    places: HashMap<Box<[u8]>, usize, ahash::RandomState>,
}

/// Why a type can't be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is too long.
    TooLong,
    /// The table is full.
    Full,
}

impl Types {
    /// The place of a type, from 1 on.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn place(&self, of: &HeaderValue) -> Result<usize, Refused> {
        if of.len() > MAX_LEN {
            return Err(Refused::TooLong);
        }
        if let Some(&place) = self.0.read().places.get(of.as_bytes()) {
            return Ok(place);
        }
        let mut table = self.0.write();
        if let Some(&place) = table.places.get(of.as_bytes()) {
            return Ok(place);
        }
        if table.types.len() as u64 >= MAX_TYPE {
            return Err(Refused::Full);
        }
        // A copy of its own: the client's may hold on to all that came with it.
        let copy = HeaderValue::from_bytes(of.as_bytes()).map_err(|_| Refused::TooLong)?;
        table.types.push(copy);
        let place = table.types.len();
        table.places.insert(of.as_bytes().into(), place);
        Ok(place)
    }

    /// The type at a place. None: none was told.
    pub fn at(&self, place: usize) -> Option<HeaderValue> {
        self.0.read().types.get(place.checked_sub(1)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_place_and_the_table_an_end() {
        let types = Types::default();
        let json = HeaderValue::from_static("application/json");
        assert_eq!((types.place(&json), types.place(&json)), (Ok(1), Ok(1)));
        assert_eq!((types.at(1), types.at(0), types.at(2)), (Some(json.clone()), None, None));
        let long = HeaderValue::from_str(&"x".repeat(256)).unwrap();
        assert_eq!(types.place(&long), Err(Refused::TooLong));
        for i in 2..=MAX_TYPE {
            let other = HeaderValue::from_str(&format!("x/{i}")).unwrap();
            assert_eq!(types.place(&other), Ok(i as usize));
        }
        assert_eq!(types.place(&HeaderValue::from_static("x/more")), Err(Refused::Full));
        assert_eq!(types.place(&json), Ok(1));
    }
}
