//! Listeners, by protocol.

use std::io;
use std::net::{SocketAddr, TcpListener};

/// What is spoken at a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RESP2 and RESP3.
    Resp,
    /// memcached's text and meta protocols.
    Memcached,
    /// HTTP.
    Http,
    /// Metrics, health and the page.
    Admin,
}

/// Sockets that listen, each with what is spoken there.
#[derive(Default)]
pub struct Listeners(pub(super) Vec<(TcpListener, Protocol)>);

impl Listeners {
    /// Listens at an address.
    ///
    /// # Errors
    /// Those of the system, with the address.
    pub fn tcp(&mut self, address: SocketAddr, protocol: Protocol) -> io::Result<SocketAddr> {
        let listener = listen(address)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        let address = listener.local_addr()?;
        self.0.push((listener, protocol));
        Ok(address)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
