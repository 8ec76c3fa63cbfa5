//! TLS by rustls: what is needed to accept, from the files that the settings name.

use crate::config::Config;
use parking_lot::RwLock;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts by TLS. Its certificate can change.
pub struct Acceptor(RwLock<Arc<ServerConfig>>);

impl Acceptor {
    /// As the settings say. None: no surface wants it.
    ///
    /// # Errors
    /// A file that can't be read or isn't what it should be, with its name.
    pub fn new(config: &Config) -> io::Result<Option<Acceptor>> {
        if !config.wants_tls() {
            return Ok(None);
        }
        Ok(Some(Acceptor(RwLock::new(Arc::new(read(config)?)))))
    }

    /// Reads the files again: for who connects from now on.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; the old ones stay.
    pub fn reload(&self, config: &Config) -> io::Result<()> {
        let new = Arc::new(read(config)?);
        *self.0.write() = new;
        Ok(())
    }

    /// Agrees with a client.
    ///
    /// # Errors
    /// It didn't come to that, or not in time.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.0.read().clone());
        tokio::time::timeout(HANDSHAKE, acceptor.accept(stream))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }
}

fn read(config: &Config) -> io::Result<ServerConfig> {
    let chain = path(config.tls_cert_file.as_deref(), "tls-cert-file")?;
    let key = path(config.tls_key_file.as_deref(), "tls-key-file")?;
    let certificates = certificates(chain)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let builder = ServerConfig::builder();
    let builder = match config.tls_ca_cert_file.as_deref() {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(path, &error))?)
        }
    };
    builder.with_single_cert(certificates, secret).map_err(|error| wrong(chain, &error))
}

fn path<'a>(path: Option<&'a Path>, option: &str) -> io::Result<&'a Path> {
    path.ok_or_else(|| io::Error::other(format!("{option} is not set")))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => {
            Err(io::Error::other(format!("{}: there is no certificate in it", path.display())))
        }
        Err(error) => Err(wrong(path, &error)),
    }
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
