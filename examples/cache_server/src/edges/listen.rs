//! Sockets that listen: TCP, Unix, and those that the service manager hands over.

use super::Socket;
use crate::config::Config;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, UnixListener};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// What is spoken at a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Surface {
    /// RESP2 and RESP3.
    Resp,
    /// memcached's protocol.
    Memcached,
    /// `/cache/{key}`.
    Http,
    /// Metrics, health and the page.
    Admin,
}

impl Surface {
    /// Its name, as socket units name theirs (`FileDescriptorName=`).
    pub fn name(self) -> &'static str {
        match self {
            Surface::Resp => "resp",
            Surface::Memcached => "memcached",
            Surface::Http => "http",
            Surface::Admin => "admin",
        }
    }

    fn named(name: &str) -> Option<Surface> {
        [Surface::Resp, Surface::Memcached, Surface::Http, Surface::Admin]
            .into_iter()
            .find(|surface| surface.name() == name)
    }

    /// What a client is told who is one too many.
    pub fn too_many(self) -> &'static [u8] {
        match self {
            Surface::Resp => b"-ERR max number of clients reached\r\n",
            Surface::Memcached => b"ERROR Too many open connections\r\n",
            Surface::Http | Surface::Admin => {
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            }
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    /// What is spoken there.
    pub surface: Surface,
    /// By TLS.
    pub tls: bool,
    listener: Listener,
    /// A Unix socket's file, which goes with it.
    file: Option<PathBuf>,
}

#[derive(Debug)]
enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// Listens at all that the settings name. Where the service manager has handed sockets over, those
/// of their surfaces are taken instead.
///
/// # Errors
/// Those of the system, with the address or the path.
pub fn bind(config: &Config) -> io::Result<Vec<Listening>> {
    let mut all = inherited()?;
    let given: Vec<Surface> = all.iter().map(|listening| listening.surface).collect();
    let ports = [
        (Surface::Resp, false, config.port),
        (Surface::Resp, true, config.tls_port),
        (Surface::Memcached, false, config.memcached_port),
        (Surface::Memcached, true, config.memcached_tls_port),
        (Surface::Http, false, config.http_port),
        (Surface::Http, true, config.https_port),
        (Surface::Admin, false, config.admin_port),
    ];
    for (surface, tls, port) in ports {
        let Some(port) = port.filter(|_| tls || !given.contains(&surface)) else { continue };
        for &address in &config.bind {
            all.push(tcp(surface, tls, address, port)?);
        }
    }
    let files = [
        (Surface::Resp, &config.unixsocket),
        (Surface::Memcached, &config.memcached_unixsocket),
        (Surface::Http, &config.http_unixsocket),
    ];
    for (surface, path) in files {
        if let Some(path) = path {
            all.push(unix(surface, path, config.unixsocketperm)?);
        }
    }
    Ok(all)
}

fn tcp(surface: Surface, tls: bool, address: IpAddr, port: u16) -> io::Result<Listening> {
    let address = SocketAddr::new(address, port);
    let listener = listen(address).map_err(|error| named(&error, &address.to_string()))?;
    Ok(Listening { surface, tls, listener: Listener::Tcp(listener), file: None })
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // "::" is all addresses, those of IPv4 too, unless one of these is bound beside it.
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn unix(surface: Surface, path: &Path, mode: u32) -> io::Result<Listening> {
    let shown = path.display().to_string();
    let listener = replace_stale(path)
        .and_then(|()| std::os::unix::net::UnixListener::bind(path))
        .and_then(|listener| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .map_err(|error| named(&error, &shown))?;
    let file = Some(path.to_path_buf());
    Ok(Listening { surface, tls: false, listener: Listener::Unix(listener), file })
}

/// Removes a socket that a server has left behind. One that answers, and what is no socket, stays.
fn replace_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file, no socket"));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"));
    }
    fs::remove_file(path)
}

fn named(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Sockets that the service manager hands over, by their names: resp, memcached, http, admin. One
/// without a name is RESP's.
fn inherited() -> io::Result<Vec<Listening>> {
    // They are this process' once.
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    let Ok(sockets) = sd_notify::listen_fds_with_names() else { return Ok(Vec::new()) };
    sockets.map(|(fd, name)| of_fd(fd, &name)).collect()
}

fn of_fd(fd: RawFd, name: &str) -> io::Result<Listening> {
    let surface = match name {
        "" | "unknown" => Surface::Resp,
        // systemd's own default: the name of the socket unit.
        name if name.ends_with(".socket") => Surface::Resp,
        name => Surface::named(name).ok_or_else(|| {
            io::Error::other(format!(
                "FileDescriptorName={name}: none of resp, memcached, http, admin"
            ))
        })?,
    };
    // SAFETY: the service manager has opened it for this process, which takes it here and, by `TAKEN`
    // and by the numbers' being different, once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let socket = socket2::Socket::from(fd);
    socket.set_nonblocking(true)?;
    let listener = if socket.domain()? == socket2::Domain::UNIX {
        Listener::Unix(OwnedFd::from(socket).into())
    } else {
        Listener::Tcp(socket.into())
    };
    Ok(Listening { surface, tls: false, listener, file: None })
}

impl Listening {
    /// The address, for people.
    pub fn address(&self) -> String {
        match (&self.listener, &self.file) {
            (Listener::Tcp(listener), _) => {
                listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
            }
            (_, Some(path)) => path.display().to_string(),
            (Listener::Unix(_), None) => "a socket of the service manager".into(),
        }
    }

    /// The port, of a TCP socket.
    pub fn port(&self) -> Option<u16> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Listener::Unix(_) => None,
        }
    }

    /// Whether others than this machine's processes can reach it.
    pub fn is_open_to_others(&self) -> bool {
        match &self.listener {
            Listener::Tcp(listener) => {
                listener.local_addr().is_ok_and(|address| !address.ip().is_loopback())
            }
            Listener::Unix(_) => false,
        }
    }

    /// Accepts connections in the runtime that this runs in, and gives them to `take`, until that
    /// says to stop. Where descriptors run out, it waits a moment.
    ///
    /// # Errors
    /// Those of the system, before the first.
    pub async fn accept(self, mut take: impl AsyncFnMut(Socket) -> bool) -> io::Result<()> {
        let fd = match &self.listener {
            Listener::Tcp(listener) => listener.as_fd().try_clone_to_owned()?,
            Listener::Unix(listener) => listener.as_fd().try_clone_to_owned()?,
        };
        let listener = match &self.listener {
            Listener::Tcp(_) => Accepting::Tcp(TcpListener::from_std(fd.into())?),
            Listener::Unix(_) => Accepting::Unix(UnixListener::from_std(fd.into())?),
        };
        loop {
            match listener.next().await {
                Ok(socket) => {
                    if !take(socket).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, surface = self.surface.name(), "accept");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    async fn next(&self) -> io::Result<Socket> {
        match self {
            Accepting::Tcp(listener) => listener.accept().await?.0.into_std().map(Socket::Tcp),
            Accepting::Unix(listener) => listener.accept().await?.0.into_std().map(Socket::Unix),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(path) = &self.file {
            let _ = fs::remove_file(path);
        }
    }
}
