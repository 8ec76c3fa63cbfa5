//! Connections as they are accepted, to be handed from one runtime to another, and as they are used.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that no runtime has yet.
#[derive(Debug)]
pub enum Socket {
    /// By TCP.
    Tcp(std::net::TcpStream),
    /// By a Unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// By TCP.
    Tcp(tokio::net::TcpStream),
    /// By a Unix socket.
    Unix(tokio::net::UnixStream),
}

impl Stream {
    /// Where it comes from, and where it came to, as CLIENT LIST tells it.
    pub fn ends(&self) -> (String, String) {
        match self {
            Stream::Tcp(stream) => {
                let text = |addr: io::Result<std::net::SocketAddr>| {
                    addr.map_or_else(|_| "?:0".to_owned(), |addr| addr.to_string())
                };
                (text(stream.peer_addr()), text(stream.local_addr()))
            }
            Stream::Unix(stream) => {
                let path = stream.local_addr().ok();
                let path = path.as_ref().and_then(|addr| addr.as_pathname());
                let path = path.map_or_else(String::new, |path| path.display().to_string());
                (format!("{path}:0"), format!("{path}:0"))
            }
        }
    }
}

impl Socket {
    /// The connection, for the runtime that this runs in.
    ///
    /// # Errors
    /// Those of the system.
    pub fn into_stream(self) -> io::Result<Stream> {
        match self {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                socket.set_nodelay(true)?;
                tokio::net::TcpStream::from_std(socket).map(Stream::Tcp)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                tokio::net::UnixStream::from_std(socket).map(Stream::Unix)
            }
        }
    }

    /// Writes a last word, if the socket takes it at once.
    pub fn refuse(&self, text: &[u8]) {
        use io::Write;
        let _ = match self {
            Socket::Tcp(socket) => (&*socket).write(text),
            Socket::Unix(socket) => (&*socket).write(text),
        };
    }
}

macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
