//! What lies between the server and the world outside: sockets, TLS, the service manager.

mod patient;

pub use patient::Patient;
