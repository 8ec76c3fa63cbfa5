//! Sockets, TLS, and clients that are silent, slow or gone: over real sockets of this machine.

use larder_server::config::Config;
use larder_server::edges::{Listening, Surface, listen};
use larder_server::memcached;
use larder_server::shared::Shared;
use larder_server::store::Store;
use larder_server::tracking::Tracking;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.unwrap() });
}

/// Without any surface.
fn nothing() -> Config {
    Config { port: None, maxmemory: 8 << 20, ..Config::default() }
}

fn shared(config: &Config) -> Arc<Shared> {
    let options = larder::Options::new(config.maxmemory);
    let store = Arc::new(Store::new(options, Tracking::new(1000)).unwrap());
    Arc::new(Shared::new(store, config))
}

/// Serves memcached's protocol there.
fn serve(listening: Listening, shared: Arc<Shared>) {
    tokio::spawn(listening.accept(async move |socket| {
        let stream = socket.into_stream().unwrap();
        tokio::spawn(memcached::serve(stream, shared.clone()));
        true
    }));
}

fn only(config: &Config) -> Listening {
    let mut all = listen::bind(config).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn memcached(config: Config) -> (TcpStream, Arc<Shared>) {
    let config = Config { memcached_port: Some(0), ..config };
    let (shared, listening) = (shared(&config), only(&config));
    let port = listening.port().unwrap();
    serve(listening, shared.clone());
    (TcpStream::connect(("127.0.0.1", port)).await.unwrap(), shared)
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("larder-{}-{name}", std::process::id()))
}

async fn says(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), input: &str, wanted: &str) {
    stream.write_all(input.as_bytes()).await.unwrap();
    let mut answer = vec![0; wanted.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), wanted);
}

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_the_server() {
    run(async {
        let path = path("mode.sock");
        let config =
            Config { memcached_unixsocket: Some(path.clone()), unixsocketperm: 0o600, ..nothing() };
        let listening = only(&config);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, listening.surface), (0o600, Surface::Memcached));
        // Where a server listens no other does.
        let error = listen::bind(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(path.to_str().unwrap()));
        serve(listening, shared(&config));
        let mut client = UnixStream::connect(&path).await.unwrap();
        says(&mut client, "mn\r\n", "MN\r\n").await;
    });
}

#[test]
fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
    run(async {
        let path = path("left.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let config = Config { http_unixsocket: Some(path.clone()), ..nothing() };
        drop(only(&config));
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(listen::bind(&config).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = listen::bind(&Config { http_port: Some(port), ..nothing() }).unwrap_err();
    assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
}

#[test]
fn a_silent_client_is_cut_and_a_talking_one_is_not() {
    run(async {
        let config = Config { timeout: Duration::from_millis(300), ..nothing() };
        let (mut client, shared) = memcached(config).await;
        for _ in 0..5 {
            says(&mut client, "mn\r\n", "MN\r\n").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut rest = Vec::new();
        // Half a command is silence too.
        client.write_all(b"get ").await.unwrap();
        let _ = client.read_to_end(&mut rest).await;
        assert_eq!((rest.len(), shared.memcached.cuts()), (0, 1));
        while shared.memcached.connections().0 > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    run(async {
        let (mut client, shared) = memcached(nothing()).await;
        let value = "x".repeat(10_000);
        says(&mut client, &format!("set k 0 0 10000\r\n{value}\r\n"), "STORED\r\n").await;
        // It asks for a gigabyte, and takes none of it: what is held is one round of answers.
        let ask = "get k\r\n".repeat(1000);
        for _ in 0..100 {
            let sent = client.write_all(ask.as_bytes());
            if tokio::time::timeout(Duration::from_millis(50), sent).await.is_err() {
                break;
            }
        }
        let (_, written) = shared.memcached.bytes();
        assert!(written < 64 << 20, "{written} bytes went somewhere");
        drop(client);
        while shared.memcached.connections().0 > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_large_value_comes_in_pieces_and_goes_out_whole() {
    run(async {
        let (mut client, _) = memcached(nothing()).await;
        let value = vec![7u8; 1_500_000];
        client.write_all(b"set k 0 0 1500000\r\n").await.unwrap();
        for piece in value.chunks(100_000) {
            client.write_all(piece).await.unwrap();
        }
        says(&mut client, "\r\nget k k\r\n", "STORED\r\nVALUE k 0 1500000\r\n").await;
        let mut got = vec![0; value.len()];
        client.read_exact(&mut got).await.unwrap();
        assert!(got == value);
        says(&mut client, "mn\r\n", "\r\nVALUE k 0 1500000\r\n").await;
        client.read_exact(&mut got).await.unwrap();
        assert!(got == value);
        says(&mut client, "", "\r\nEND\r\nMN\r\n").await;
    });
}

#[test]
fn a_flush_with_a_delay_comes_later_and_the_last_one_counts() {
    run(async {
        let (mut client, shared) = memcached(nothing()).await;
        says(
            &mut client,
            "set k 0 0 1\r\nx\r\nflush_all 1\r\nget k\r\n",
            "STORED\r\nOK\r\nVALUE k 0 1\r\nx\r\nEND\r\n",
        )
        .await;
        while !shared.store.cache().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        says(&mut client, "get k\r\n", "END\r\n").await;
        // One that comes at once undoes one that was to come.
        let ask = "flush_all 1\r\nflush_all\r\nset k 0 0 1\r\nx\r\n";
        says(&mut client, ask, "OK\r\nOK\r\nSTORED\r\n").await;
        says(&mut client, "flush_all 1\r\n", "OK\r\n").await;
        says(&mut client, "flush_all\r\nset k 0 0 1\r\nx\r\n", "OK\r\nSTORED\r\n").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        says(&mut client, "get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n").await;
    });
}

#[test]
fn a_stop_answers_what_was_sent_and_ends() {
    run(async {
        let (mut client, shared) = memcached(nothing()).await;
        says(&mut client, "mn\r\n", "MN\r\n").await;
        shared.stop();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    });
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use larder_server::edges::tls::Acceptor;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    /// A certificate for this machine, in two files that go with their folder.
    struct Files(PathBuf, CertificateDer<'static>);

    impl Files {
        fn new(name: &str) -> Files {
            let folder = path(name);
            std::fs::create_dir_all(&folder).unwrap();
            let mut files = Files(folder, CertificateDer::from(Vec::new()));
            files.renew();
            files
        }

        fn renew(&mut self) {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(self.0.join("cert.pem"), made.cert.pem()).unwrap();
            std::fs::write(self.0.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
            self.1 = made.cert.der().clone();
        }

        fn config(&self) -> Config {
            Config {
                memcached_tls_port: Some(0),
                tls_cert_file: Some(self.0.join("cert.pem")),
                tls_key_file: Some(self.0.join("key.pem")),
                ..nothing()
            }
        }

        fn connector(&self) -> TlsConnector {
            let mut roots = RootCertStore::empty();
            roots.add(self.1.clone()).unwrap();
            let config = ClientConfig::builder().with_root_certificates(roots);
            TlsConnector::from(Arc::new(config.with_no_client_auth()))
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_client_talks_by_tls_and_a_new_certificate_is_taken() {
        run(async {
            let mut files = Files::new("tls");
            let config = files.config();
            let acceptor = Arc::new(Acceptor::new(&config).unwrap().unwrap());
            let (shared, listening) = (shared(&config), only(&config));
            assert!(listening.tls);
            let port = listening.port().unwrap();
            let accepting = acceptor.clone();
            tokio::spawn(listening.accept(async move |socket| {
                let (acceptor, shared) = (accepting.clone(), shared.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(socket.into_stream().unwrap()).await;
                    if let Ok(stream) = stream {
                        let _ = memcached::serve(stream, shared).await;
                    }
                });
                true
            }));
            let connect = async |files: &Files| {
                let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                files.connector().connect(name, tcp).await
            };
            let mut client = connect(&files).await.unwrap();
            says(&mut client, "set k 0 0 1\r\nx\r\n", "STORED\r\n").await;
            files.renew();
            assert!(connect(&files).await.is_err());
            acceptor.reload(&config).unwrap();
            says(&mut connect(&files).await.unwrap(), "get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n")
                .await;
            // Who was there stays; what isn't TLS goes.
            says(&mut client, "mn\r\n", "MN\r\n").await;
            let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            plain.write_all(b"version\r\n").await.unwrap();
            let mut rest = Vec::new();
            let _ = plain.read_to_end(&mut rest).await;
            assert!(!rest.starts_with(b"VERSION"));
        });
    }

    #[test]
    fn files_that_are_none_are_named() {
        let files = Files::new("wrong");
        let refused = |config: Config| Acceptor::new(&config).err().unwrap().to_string();
        let key = files.0.join("key.pem");
        let said = refused(Config { tls_cert_file: Some(key.clone()), ..files.config() });
        assert!(said.starts_with(key.to_str().unwrap()), "{said}");
        let none = files.0.join("none.pem");
        let said = refused(Config { tls_key_file: Some(none.clone()), ..files.config() });
        assert!(said.starts_with(none.to_str().unwrap()), "{said}");
    }
}
