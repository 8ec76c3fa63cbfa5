//! Options that say when an entry expires: EX, PX, EXAT, PXAT, KEEPTTL, PERSIST.

use super::{NOT_AN_INTEGER, SYNTAX, Why};
use crate::resp::command::{Args, Call};
use crate::resp::number;
use crate::store::Expiry;

/// What was said of the expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Said<'a> {
    /// Nothing.
    #[default]
    Nothing,
    /// It stays as it is.
    Keep,
    /// There is none from now on.
    Persist,
    /// A number in this unit.
    At(Unit, &'a [u8]),
}

/// What a number of an expiry means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Seconds from now.
    Ex,
    /// Milliseconds from now.
    Px,
    /// Seconds since 1970.
    ExAt,
    /// Milliseconds since 1970.
    PxAt,
}

impl Unit {
    /// The unit of a word.
    fn of(word: &[u8]) -> Option<Unit> {
        let units = [
            (&b"EX"[..], Unit::Ex),
            (b"PX", Unit::Px),
            (b"EXAT", Unit::ExAt),
            (b"PXAT", Unit::PxAt),
        ];
        units.into_iter().find_map(|(name, unit)| word.eq_ignore_ascii_case(name).then_some(unit))
    }

    /// The moment, in milliseconds since 1970, that a number means. None if there is no such.
    pub fn moment(self, number: i64, now: i64) -> Option<i64> {
        let millis = match self {
            Unit::Ex | Unit::ExAt => number.checked_mul(1000)?,
            Unit::Px | Unit::PxAt => number,
        };
        match self {
            Unit::Ex | Unit::Px => millis.checked_add(now),
            Unit::ExAt | Unit::PxAt => Some(millis),
        }
    }
}

impl<'a> Said<'a> {
    /// Takes the argument at `at` if it says something of the expiry, and says how many arguments
    /// that were: 0 if it doesn't.
    ///
    /// # Errors
    /// Something else was said before.
    pub fn take(
        &mut self,
        args: Args<'a>,
        at: usize,
        allowed: &[Said<'_>],
    ) -> Result<usize, &'static str> {
        let word = args.at(at);
        let new = if let Some(unit) = Unit::of(word) {
            match args.get(at + 1) {
                Some(number) => Said::At(unit, number),
                None => return Err(SYNTAX),
            }
        } else if word.eq_ignore_ascii_case(b"KEEPTTL") && allowed.contains(&Said::Keep) {
            Said::Keep
        } else if word.eq_ignore_ascii_case(b"PERSIST") && allowed.contains(&Said::Persist) {
            Said::Persist
        } else {
            return Ok(0);
        };
        let same_kind = match (&*self, &new) {
            (Said::Nothing, _) => true,
            (Said::At(before, _), Said::At(now, _)) => before == now,
            (before, now) => *before == *now,
        };
        if !same_kind {
            return Err(SYNTAX);
        }
        *self = new;
        Ok(if matches!(new, Said::At(..)) { 2 } else { 1 })
    }

    /// The expiry. `None` where nothing was said of a moment.
    ///
    /// # Errors
    /// The number isn't one, or not one that may be said.
    pub fn expiry(&self, call: &Call<'_>) -> Result<Option<Expiry>, Why> {
        let &Said::At(unit, number) = self else { return Ok(None) };
        let number = number::integer(number).ok_or(NOT_AN_INTEGER)?;
        expiry(call, unit, number).map(Some)
    }
}

/// The expiry that a number means.
///
/// # Errors
/// It isn't one that may be said.
#[inline]
pub fn expiry(call: &Call<'_>, unit: Unit, number: i64) -> Result<Expiry, Why> {
    // The plain ones first, which need no clock. A thousand years are never too many.
    match unit {
        Unit::Ex if (1..=31_556_952_000).contains(&number) => {
            return Ok(Expiry::In(number as u64 * 1000));
        }
        Unit::Px if (1..=31_556_952_000_000).contains(&number) => {
            return Ok(Expiry::In(number as u64));
        }
        _ => {}
    }
    let moment = (number > 0).then(|| unit.moment(number, call.server.store.now())).flatten();
    moment.map(Expiry::At).ok_or_else(|| {
        let name = call.command.name.to_ascii_lowercase();
        format!("ERR invalid expire time in '{name}' command").into()
    })
}
