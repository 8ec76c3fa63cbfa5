//! What lies between the server and the world outside: sockets, TLS, the service manager, the log.

pub mod listen;
pub mod log;
pub mod notify;
mod patient;
mod socket;
#[cfg(feature = "tls")]
pub mod tls;

pub use listen::{Listening, Surface};
pub use patient::Patient;
pub use socket::{Socket, Stream};
