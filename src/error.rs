//! What can go wrong.

use std::fmt;

/// Why a call failed. Nothing that was in the cache is lost by a failed call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// An option is out of its range; the text says which.
    InvalidOptions(&'static str),
    /// The key is longer than 64 KiB.
    KeyTooLarge,
    /// The value is longer than a quarter of the budget.
    ValueTooLarge,
    /// The cache is closed.
    Closed,
    /// The system refused memory or address space.
    OutOfMemory,
    /// Everything that could be evicted is held by views or readers. All caches of a process wait
    /// for the same readers: a thread that is stopped for seconds in the middle of a get (by a
    /// debugger, or a page of its buffer that doesn't come) holds back what any of them gives up.
    Full,
    /// More than 64 tags.
    TooManyTags,
    /// The value isn't a whole number of 64 bits in decimal digits, or would not be one any more.
    NotANumber,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidOptions(why) => write!(f, "invalid options: {why}"),
            Error::KeyTooLarge => f.write_str("the key is longer than 64 KiB"),
            Error::ValueTooLarge => f.write_str("the value is longer than a quarter of the budget"),
            Error::Closed => f.write_str("the cache is closed"),
            Error::OutOfMemory => f.write_str("the system refused memory"),
            Error::TooManyTags => f.write_str("more than 64 tags"),
            Error::NotANumber => {
                f.write_str("the value is not a 64-bit number in decimal digits, or would not be")
            }
            Error::Full => f.write_str("no room: everything that could be evicted is being read"),
        }
    }
}

impl std::error::Error for Error {}

/// Why [`Cache::compare_and_swap`](crate::Cache::compare_and_swap) stored nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CasError {
    /// The entry has another version: it was set since, or nobody has asked for its version since
    /// it was.
    Conflict,
    /// There is no entry (any more).
    NotFound,
    /// The set itself failed.
    Set(Error),
}

impl From<Error> for CasError {
    fn from(error: Error) -> CasError {
        CasError::Set(error)
    }
}

impl fmt::Display for CasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CasError::Conflict => f.write_str("the entry has another version"),
            CasError::NotFound => f.write_str("there is no entry"),
            CasError::Set(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CasError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CasError::Set(error) => Some(error),
            CasError::Conflict | CasError::NotFound => None,
        }
    }
}
