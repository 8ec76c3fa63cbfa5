//! The program as it is started: what it prints, what signals do, and what the service manager is
//! told.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_larder-server"));
    program.env_clear().stdin(Stdio::null());
    program
}

fn output(flags: &[&str]) -> Output {
    program().args(flags).output().unwrap()
}

/// A folder that goes with its name.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("larder-p{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server on a Unix socket, with the settings of a file.
struct Server {
    child: Child,
    folder: Folder,
    log: BufReader<std::process::ChildStderr>,
}

impl Server {
    fn start(name: &str, settings: &str, change: impl FnOnce(&Folder, &mut Command)) -> Server {
        let folder = Folder::new(name);
        fs::write(folder.path("settings.toml"), settings).unwrap();
        let mut program = program();
        let (settings, socket) = (folder.path("settings.toml"), folder.path("memcached.sock"));
        program.args(["--config", &settings, "--port", "0", "--memcached-unixsocket", &socket]);
        program.args(["--maxmemory", "8mb"]);
        change(&folder, &mut program);
        let mut child = program.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Server { child, folder, log };
        server.wait_for("ready");
        server
    }

    /// Reads the log up to a line with this text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended before {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    fn connect(&self) -> UnixStream {
        let socket = self.folder.path("memcached.sock");
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn says(stream: &mut UnixStream, input: &str, wanted: &str) {
    stream.write_all(input.as_bytes()).unwrap();
    let mut answer = vec![0; wanted.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), wanted);
}

#[test]
fn it_says_who_it_is_and_whether_settings_are_good() {
    let version = output(&["--version"]);
    assert_eq!(version.stdout, format!("larder-server {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    assert!(output(&["--help"]).stdout.starts_with(b"larder-server: "));
    let good = output(&["--check", "--maxmemory", "1gb"]);
    assert!(good.status.success());
    assert!(String::from_utf8(good.stdout).unwrap().contains("maxmemory = \"1gb\"\n"));
    let bad = output(&["--check", "--maxmemory", "1"]);
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(2), 0));
    assert!(bad.stderr.starts_with(b"larder-server: --maxmemory: \"1\" is not 256kb to 256gb"));
    let none = output(&["--port", "0"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8(none.stderr).unwrap().contains("nothing to listen at"));
}

#[test]
fn what_it_prints_as_good_is_a_file_of_settings() {
    let folder = Folder::new("check");
    fs::write(folder.path("printed.toml"), output(&["--check", "--timeout", "7"]).stdout).unwrap();
    let again = output(&["--check", "--config", &folder.path("printed.toml")]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8(again.stdout).unwrap().contains("timeout = \"7s\"\n"));
}

#[test]
fn a_stop_waits_for_what_is_under_way() {
    let mut server = Server::start("stop", "", |_, _| {});
    let mut client = server.connect();
    says(&mut client, "set k 0 0 1\r\nx\r\n", "STORED\r\n");
    server.signal("TERM");
    server.wait_for("stopped");
    assert!(server.child.wait().unwrap().success());
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty() && !fs::exists(server.folder.path("memcached.sock")).unwrap());
}

#[test]
fn a_hangup_changes_what_can_be_changed() {
    let mut server = Server::start("hangup", "http-port = 0\n", |_, _| {});
    let mut before = server.connect();
    says(&mut before, "mn\r\n", "MN\r\n");
    let settings = server.folder.path("settings.toml");
    fs::write(&settings, "requirepass = \"secret\"\nadmin-port = 1\nloglevel = \"debug\"\n")
        .unwrap();
    server.signal("HUP");
    server.wait_for("admin-port is another now: that takes a new start");
    server.wait_for("requirepass changed");
    says(&mut server.connect(), "mn\r\n", "CLIENT_ERROR unauthenticated\r\n");
    fs::write(&settings, "maxclients = 0\n").unwrap();
    server.signal("HUP");
    let line = server.wait_for("the settings stay as they are");
    assert!(line.contains("settings.toml:1: maxclients: \"0\" is not 1 to 1000000"), "{line}");
    fs::write(&settings, "requirepass = \"secret\"\nmaxclients = 1\n").unwrap();
    server.signal("HUP");
    server.wait_for("maxclients changed");
    // One was there, and is still; another one is told.
    let mut refused = String::new();
    server.connect().read_to_string(&mut refused).unwrap();
    assert_eq!(refused, "ERROR Too many open connections\r\n");
}

#[test]
fn the_service_manager_is_told() {
    let folder = Folder::new("notify");
    let manager = UnixDatagram::bind(folder.path("notify.sock")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let server = Server::start("notified", "", |_, program| {
        program.env("NOTIFY_SOCKET", folder.path("notify.sock"));
    });
    let told = || {
        let mut text = [0; 200];
        let len = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..len].to_vec()).unwrap()
    };
    assert!(told().starts_with("READY=1"));
    server.signal("HUP");
    let reloading = told();
    assert!(reloading.starts_with("RELOADING=1") && reloading.contains("MONOTONIC_USEC="));
    assert!(told().starts_with("READY=1"));
    server.signal("TERM");
    assert!(told().starts_with("STOPPING=1"));
}

#[test]
fn the_log_can_be_json() {
    let server = Server::start("json", "logformat = \"json\"\nadmin-port = 0\n", |_, _| {});
    server.signal("TERM");
    let mut server = server;
    let line = server.wait_for("\"stopped\"");
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["level"], &object["message"]), (&"INFO".into(), &"stopped".into()));
}

#[test]
fn an_address_that_is_taken_ends_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let failed = output(&["--port", "0", "--http-port", &port.to_string()]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains(&format!("127.0.0.1:{port}: ")), "{said}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
}

#[test]
fn a_socket_of_the_service_manager_is_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = socket2::Socket::from(listener);
    socket.set_cloexec(false).unwrap();
    // As systemd does it: the number of the first is 3, and the rest is in the environment.
    let program = env!("CARGO_BIN_EXE_larder-server");
    let flags = "--port 0 --memcached-port 1 --maxmemory 8mb";
    let script = format!(
        "exec 3<&{}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=memcached exec {program} {flags}",
        std::os::fd::AsRawFd::as_raw_fd(&socket)
    );
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    drop(socket);
    let log = BufReader::new(child.stderr.take().unwrap());
    let said: Vec<_> = log.lines().map(Result::unwrap).take(2).collect();
    // Port 1 is not listened at.
    assert!(said[0].contains(&format!("memcached at 127.0.0.1:{port}")), "{said:?}");
    assert!(said[1].contains("ready"), "{said:?}");
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"mn\r\nquit\r\n").unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(all, "MN\r\n");
}
