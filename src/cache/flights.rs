//! Flights: loads of which one thread fetches the value while others wait for it. Only who waits
//! for whom; what may be stored is decided by the token (`loads`).
//!
//! A flight belongs to one token. A token is taken away when its key is changed, so who comes after
//! a change has another, and doesn't join the flight that began before: nobody is given a value
//! that is older than a change that had returned when he asked.

use crate::sys::atomic::{Condvar, Mutex};
use ahash::RandomState;
use hashbrown::HashMap;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Instant;

/// The flights of a cache, by key. One lock for all: it is taken by misses that load, which take
/// far longer than it does.
pub struct Flights {
    table: Mutex<HashMap<Box<[u8]>, Arc<Flight>, RandomState>>,
}

/// A load that others can wait for.
pub struct Flight {
    token: u64,
    leader: ThreadId,
    state: Mutex<State>,
    landed: Condvar,
}

/// How far a flight is.
#[derive(Clone)]
pub enum State {
    /// The leader fetches.
    UnderWay,
    /// It has ended with a value.
    Value(Arc<[u8]>),
    /// It has ended with none: whoever waits looks again.
    Nothing,
}

/// What a thread that missed is to do.
pub enum Role {
    /// Fetch, and land the flight.
    Lead(Arc<Flight>),
    /// Wait for another.
    Wait(Arc<Flight>),
    /// Fetch for itself: nobody can wait for the load that is under way, because it is this
    /// thread's own or isn't a flight.
    Alone,
}

impl Flights {
    /// None.
    pub fn new() -> Flights {
        Flights { table: Mutex::new(HashMap::with_hasher(RandomState::new())) }
    }

    /// `begin` begins the load of the key, or says that one is under way: its token, and whether it
    /// begins.
    pub fn role<E>(
        &self,
        key: &[u8],
        begin: impl FnOnce() -> Result<(u64, bool), E>,
    ) -> Result<Role, E> {
        // Held from the token to the flight: whoever is told of the token finds the flight.
        let mut table = self.table.lock();
        let (token, begins) = begin()?;
        if begins {
            let flight = Arc::new(Flight::new(token));
            table.insert(key.into(), flight.clone());
            return Ok(Role::Lead(flight));
        }
        let flight = table
            .get(key)
            .filter(|flight| flight.token == token && flight.leader != thread::current().id());
        Ok(flight.map_or(Role::Alone, |flight| Role::Wait(flight.clone())))
    }

    /// Takes a flight out, so that nobody joins it any more, and wakes who has.
    pub fn land(&self, key: &[u8], flight: &Arc<Flight>, value: Option<&[u8]>) {
        let mut table = self.table.lock();
        // One that began after this was superseded may have taken its place.
        if table.get(key).is_some_and(|other| Arc::ptr_eq(other, flight)) {
            table.remove(key);
        }
        drop(table);
        let waited_for = Arc::strong_count(flight) > 1;
        let value = value.filter(|_| waited_for);
        *flight.state.lock() = value.map_or(State::Nothing, |value| State::Value(value.into()));
        flight.landed.notify_all();
    }
}

impl Flight {
    fn new(token: u64) -> Flight {
        let (state, landed) = (Mutex::new(State::UnderWay), Condvar::new());
        Flight { token, leader: thread::current().id(), state, landed }
    }

    /// The token of the load.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Waits until it has ended, or until then.
    pub fn wait(&self, until: Option<Instant>) -> State {
        let mut state = self.state.lock();
        while matches!(*state, State::UnderWay) {
            match until {
                Some(until) if self.landed.wait_until(&mut state, until).timed_out() => break,
                Some(_) => {}
                None => self.landed.wait(&mut state),
            }
        }
        state.clone()
    }
}
