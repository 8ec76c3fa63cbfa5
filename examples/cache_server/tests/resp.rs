//! RESP: what is said, byte for byte, and what comes back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server of its own for each test, at a Unix socket.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(name: &str, flags: &[&str]) -> Server {
        let socket =
            std::env::temp_dir().join(format!("larder-r{}-{name}.sock", std::process::id()));
        let mut program = Command::new(env!("CARGO_BIN_EXE_larder-server"));
        program.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        program.args(["--port", "0", "--maxmemory", "16mb", "--unixsocket"]).arg(&socket);
        let child = program.args(flags).spawn().unwrap();
        Server { child, socket }
    }

    fn connect(&self) -> Client {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    return Client(stream);
                }
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

struct Client(UnixStream);

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads as much as is expected, and compares.
    #[track_caller]
    fn reads(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut got = vec![0; expected.len()];
        let mut len = 0;
        while len < got.len() {
            match self.0.read(&mut got[len..]) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(&got[..len])),
            }
            if got[..len] != expected[..len] {
                break;
            }
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&got[..len]), text(expected));
    }

    /// Says a command as clients do, with its words as arguments, and compares the reply.
    #[track_caller]
    fn says(&mut self, words: &str, reply: &str) {
        self.send(command(&words.split(' ').collect::<Vec<_>>()));
        self.reads(reply);
    }

    /// Whether the server has ended the connection.
    fn has_ended(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        end.is_ok() || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    }
}

/// A command as clients send it.
fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";

#[test]
fn strings() {
    let server = Server::start("strings", &[]);
    let mut c = server.connect();
    for (said, reply) in [
        ("GET k", "$-1\r\n"),
        ("SET k v", "+OK\r\n"),
        ("get k", "$1\r\nv\r\n"),
        ("SET k w NX", "$-1\r\n"),
        ("SET k w NX GET", "$1\r\nv\r\n"),
        ("SET new w NX GET", "$-1\r\n"),
        ("GET new", "$1\r\nw\r\n"),
        ("SET k v2 EX 100", "+OK\r\n"),
        ("SET k v3 KEEPTTL GET", "$2\r\nv2\r\n"),
        ("TTL k", ":100\r\n"),
        ("SET k v KEEPTTL EX 10", SYNTAX),
        ("SET k v PX 0", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET k v EX 1.5", NOT_AN_INTEGER),
        ("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n"),
        ("GET k", "$2\r\nv3\r\n"),
        ("SET k z IFEQ other", "$-1\r\n"),
        ("SET k z IFEQ v3 GET", "$2\r\nv3\r\n"),
        ("SET absent z IFEQ v", "$-1\r\n"),
        ("SET k z IFEQ z NX", SYNTAX),
        ("GETDEL k", "$1\r\nz\r\n"),
        ("EXISTS k", ":0\r\n"),
        ("APPEND a soup", ":4\r\n"),
        ("APPEND a 12", ":6\r\n"),
        ("GETRANGE a 1 -2", "$4\r\noup1\r\n"),
        ("SETRANGE a 8 !", ":9\r\n"),
        ("STRLEN a", ":9\r\n"),
        ("SETRANGE a -1 x", "-ERR offset is out of range\r\n"),
        ("GETEX a EX 5 PERSIST", SYNTAX),
        ("GETEX a PERSIST", "$9\r\nsoup12\0\0!\r\n"),
        ("MSET x 1 y 2", "+OK\r\n"),
        ("MGET x none y", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"),
        ("MSETNX x 9 z 9", ":0\r\n"),
        ("MSET x", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("DELIFEQ x 2", ":0\r\n"),
        ("DELIFEQ x 1", ":1\r\n"),
        ("DEL y y nothing", ":1\r\n"),
        ("foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
    ] {
        c.says(said, reply);
    }
}

#[test]
fn counters() {
    let server = Server::start("counters", &[]);
    let mut c = server.connect();
    for (said, reply) in [
        ("INCR n", ":1\r\n"),
        ("DECRBY n 3", ":-2\r\n"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"),
        ("INCRBY n +1", NOT_AN_INTEGER),
        ("SET n 9223372036854775807", "+OK\r\n"),
        ("INCR n", "-ERR increment or decrement would overflow\r\n"),
        ("SET n 01", "+OK\r\n"),
        ("INCR n", NOT_AN_INTEGER),
        ("SET f 0.1", "+OK\r\n"),
        ("INCRBYFLOAT f 0.2", "$3\r\n0.3\r\n"),
        ("INCRBYFLOAT f 5.0e3", "$6\r\n5000.3\r\n"),
        ("INCRBYFLOAT f x", "-ERR value is not a valid float\r\n"),
        ("INCRBYFLOAT z 0.02439024390243902439", "$19\r\n0.02439024390243902\r\n"),
    ] {
        c.says(said, reply);
    }
}

#[test]
fn expiry() {
    let server = Server::start("expiry", &[]);
    let mut c = server.connect();
    for (said, reply) in [
        ("SET k v", "+OK\r\n"),
        ("TTL k", ":-1\r\n"),
        ("PTTL none", ":-2\r\n"),
        ("EXPIRE k 100 XX", ":0\r\n"),
        ("EXPIRE k 100 NX", ":1\r\n"),
        ("EXPIRE k 50 GT", ":0\r\n"),
        ("EXPIRE k 50 LT", ":1\r\n"),
        (
            "EXPIRE k 1 NX GT",
            "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
        ),
        ("EXPIRE k 1 WHY", "-ERR Unsupported option WHY\r\n"),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
        ("EXPIREAT k 33177117420", ":1\r\n"),
        ("EXPIRETIME k", ":33177117420\r\n"),
        ("PERSIST k", ":1\r\n"),
        ("PERSIST k", ":0\r\n"),
        ("PEXPIREAT k -9223372036854770000", ":1\r\n"),
        ("EXISTS k", ":0\r\n"),
        ("SET k v PX 1", "+OK\r\n"),
    ] {
        c.says(said, reply);
    }
    std::thread::sleep(Duration::from_millis(2));
    c.says("GET k", "$-1\r\n");
    c.says("SET k v PX 400", "+OK\r\n");
    c.says("TTL k", ":0\r\n");
    c.says("EXISTS k", ":1\r\n");
}

#[test]
fn keys() {
    let server = Server::start("keys", &[]);
    let mut c = server.connect();
    for (said, reply) in [
        ("SET a 1 EX 100", "+OK\r\n"),
        ("RENAME none b", "-ERR no such key\r\n"),
        ("RENAME a b", "+OK\r\n"),
        ("TTL b", ":100\r\n"),
        ("COPY b c", ":1\r\n"),
        ("COPY b c", ":0\r\n"),
        ("COPY b b", "-ERR source and destination objects are the same\r\n"),
        ("RENAMENX b c", ":0\r\n"),
        ("DBSIZE", ":2\r\n"),
        ("TYPE b", "+string\r\n"),
        ("TYPE none", "+none\r\n"),
        ("OBJECT ENCODING b", "$3\r\nint\r\n"),
        ("SCAN 0 COUNT 0", SYNTAX),
        ("SCAN x", "-ERR invalid cursor\r\n"),
        ("KEYS [b]", "*1\r\n$1\r\nb\r\n"),
        ("FLUSHALL NOW", SYNTAX),
        ("FLUSHALL ASYNC", "+OK\r\n"),
        ("DBSIZE", ":0\r\n"),
        ("RANDOMKEY", "$-1\r\n"),
        ("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
    ] {
        c.says(said, reply);
    }
}

#[test]
fn transactions() {
    let server = Server::start("transactions", &[]);
    let (mut c, mut other) = (server.connect(), server.connect());
    for (said, reply) in [
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
        ("MULTI", "+OK\r\n"),
        ("SET k 1", "+QUEUED\r\n"),
        ("INCR k", "+QUEUED\r\n"),
        ("EXEC", "*2\r\n+OK\r\n:2\r\n"),
        ("MULTI", "+OK\r\n"),
        ("NONE", "-ERR unknown command 'NONE', with args beginning with: \r\n"),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"),
        ("MULTI", "+OK\r\n"),
        ("MULTI", "-ERR MULTI calls can not be nested\r\n"),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"),
        ("WATCH k", "+OK\r\n"),
    ] {
        c.says(said, reply);
    }
    other.says("SET k 2", "+OK\r\n");
    c.says("MULTI", "+OK\r\n");
    c.says("GET k", "+QUEUED\r\n");
    c.says("EXEC", "*-1\r\n");
    c.says("WATCH k none", "+OK\r\n");
    c.says("MULTI", "+OK\r\n");
    c.says("GET k", "+QUEUED\r\n");
    c.says("EXEC", "*1\r\n$1\r\n2\r\n");
}

#[test]
fn hello_and_password() {
    let server = Server::start("hello", &["--requirepass", "sesame"]);
    let mut c = server.connect();
    for (said, reply) in [
        ("GET k", "-NOAUTH Authentication required.\r\n"),
        ("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
        ("HELLO abc", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("AUTH sesame", "+OK\r\n"),
        ("GET k", "$-1\r\n"),
        ("HELLO 3 SETNAME me", "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"),
    ] {
        c.says(said, reply);
    }
    let mut c = server.connect();
    c.says("HELLO 3 AUTH default sesame", "%7\r\n");
}

#[test]
fn tracking_by_key() {
    let server = Server::start("tracking", &[]);
    let (mut c, mut other) = (server.connect(), server.connect());
    let push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    c.says("HELLO 3", "%7\r\n");
    let mut rest = [0; 4096];
    let _ = c.0.read(&mut rest).unwrap();
    c.says("CLIENT TRACKING ON", "+OK\r\n");
    c.says("SET k v", "+OK\r\n");
    c.says("GET k", "$1\r\nv\r\n");
    // Its own change: the reply first.
    c.says("SET k w", &format!("+OK\r\n{push}"));
    // Told once.
    other.says("SET k x", "+OK\r\n");
    c.says("GET k", "$1\r\nx\r\n");
    other.says("DEL k", ":1\r\n");
    c.reads(push);
    other.says("FLUSHALL", "+OK\r\n");
    c.reads(">2\r\n$10\r\ninvalidate\r\n_\r\n");
    // An expiry is a change.
    other.says("SET k v PX 20", "+OK\r\n");
    c.says("GET k", "$1\r\nv\r\n");
    c.reads(push);
    c.says("CLIENT TRACKING OFF", "+OK\r\n");
    c.says("CLIENT TRACKING ON OPTIN", "+OK\r\n");
    other.says("SET k v", "+OK\r\n");
    c.says("GET k", "$1\r\nv\r\n");
    c.says("CLIENT CACHING YES", "+OK\r\n");
    c.says("GET k", "$1\r\nv\r\n");
    other.says("SET k w", "+OK\r\n");
    c.reads(push);
}

#[test]
fn tracking_by_prefix_and_redirection() {
    let server = Server::start("prefix", &[]);
    let mut c = server.connect();
    c.says("CLIENT ID", ":1\r\n");
    let mut other = server.connect();
    other.says("CLIENT ID", ":2\r\n");
    other.says(
        "SUBSCRIBE __redis__:invalidate",
        "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n",
    );
    c.says("CLIENT TRACKING ON BCAST PREFIX user: REDIRECT 2", "+OK\r\n");
    c.says("SET user:1 x", "+OK\r\n");
    other.reads("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$6\r\nuser:1\r\n");
    c.says("SET other x", "+OK\r\n");
    c.says("SET user:2 x", "+OK\r\n");
    other.reads("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$6\r\nuser:2\r\n");
    other.says("SET a b", "-ERR Can't execute 'set'");
}

#[test]
fn tags_and_staleness() {
    let server = Server::start("tags", &[]);
    let mut c = server.connect();
    for (said, reply) in [
        ("LARDER.SET k v PX 100000 TAGS 2 red blue", "+OK\r\n"),
        ("LARDER.GET none", "*-1\r\n"),
        ("LARDER.INVALIDATE SOFT red", "+OK\r\n"),
        ("LARDER.GET k", "*3\r\n$1\r\nv\r\n$7\r\nrefresh\r\n"),
    ] {
        c.says(said, reply);
    }
    let mut c = server.connect();
    c.says("LARDER.GET k", "*3\r\n$1\r\nv\r\n$5\r\nstale\r\n");
    let mut c = server.connect();
    c.says("LARDER.TAG none green", ":0\r\n");
    c.says("LARDER.TAG k green", ":1\r\n");
    c.says("LARDER.INVALIDATE green", "+OK\r\n");
    c.says("GET k", "$-1\r\n");
}

#[test]
fn the_same_wherever_it_is_cut() {
    let server = Server::start("cut", &[]);
    let mut c = server.connect();
    let said =
        [&command(&["SET", "k", "value"])[..], b"PING\r\n", &command(&["GET", "k"])].concat();
    for cut in 1..said.len() {
        c.send(&said[..cut]);
        std::thread::sleep(Duration::from_micros(300));
        c.send(&said[cut..]);
        c.reads("+OK\r\n+PONG\r\n$5\r\nvalue\r\n");
    }
}

#[test]
fn what_is_no_protocol_ends_the_connection() {
    let server = Server::start("hostile", &[]);
    for said in [
        "*-9223372036854775808x\r\n",
        "*9223372036854775807\r\n",
        "*3\r\n$-5\r\n",
        "*1\r\n$99999999999999999999\r\n",
        "*1\r\n:5\r\n",
    ] {
        let mut c = server.connect();
        c.send(said);
        c.reads("-ERR Protocol error");
        assert!(c.has_ended(), "{said:?}");
    }
    // What is too long for the cache is read, dropped, and answered.
    let mut c = server.connect();
    let value = "x".repeat(5 << 20);
    c.send(command(&["SET", "big", &value]));
    c.reads("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    c.says("PING", "+PONG\r\n");
}

#[test]
fn large_values_and_pipelines() {
    let server = Server::start("large", &[]);
    let mut c = server.connect();
    let value: String = (0..1 << 20).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
    c.send(command(&["SET", "big", &value]));
    c.reads("+OK\r\n");
    let mut said = Vec::new();
    let mut expected = String::new();
    for i in 0..20 {
        said.extend(command(&["GET", "big"]));
        said.extend(command(&["INCR", "n"]));
        expected += &format!("$1048576\r\n{value}\r\n:{}\r\n", i + 1);
    }
    c.send(&said);
    c.reads(&expected);
}

#[test]
fn who_does_not_read_is_cut() {
    let server = Server::start("slow", &["--output-limit", "64kb"]);
    let mut c = server.connect();
    let value = "x".repeat(60_000);
    c.send(command(&["SET", "k", &value]));
    c.reads("+OK\r\n");
    let ask = command(&["GET", "k"]).repeat(200);
    // It doesn't read: its commands are taken until the limit is passed.
    let _ = c.0.write_all(&ask);
    let end = Instant::now() + Duration::from_secs(20);
    let mut other = server.connect();
    loop {
        if info(&mut other, "clients").contains("connected_clients:1\r\n") {
            break;
        }
        assert!(Instant::now() < end, "it is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The lines of INFO.
fn info(client: &mut Client, section: &str) -> String {
    client.send(command(&["INFO", section]));
    let mut text = [0; 8192];
    let len = client.0.read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..len]).into_owned()
}

#[test]
fn what_has_come_to_pass_is_told_until_it_is_forgotten() {
    let server = Server::start("totals", &[]);
    let (mut c, mut other) = (server.connect(), server.connect());
    c.says("SET k v", "+OK\r\n");
    other.says("GET k", "$1\r\nv\r\n");
    other.says("GET none", "$-1\r\n");
    other.says("NONE", "-ERR unknown command 'NONE', with args beginning with: \r\n");
    let said = info(&mut c, "stats");
    for line in [
        "total_connections_received:2\r\n",
        "total_commands_processed:4\r\n",
        "total_error_replies:1\r\n",
        "keyspace_hits:1\r\n",
        "keyspace_misses:1\r\n",
    ] {
        assert!(said.contains(line), "{line}{said}");
    }
    c.says("CONFIG RESETSTAT", "+OK\r\n");
    let said = info(&mut c, "stats");
    for line in ["total_connections_received:0", "total_error_replies:0", "keyspace_hits:0"] {
        assert!(said.contains(&format!("{line}\r\n")), "{line} {said}");
    }
}

#[test]
fn a_hangup_changes_what_the_table_of_settings_says_it_does() {
    let file = std::env::temp_dir().join(format!("larder-r{}.toml", std::process::id()));
    std::fs::write(&file, "tracking-table-max-keys = 7\nmaxclients = 50\n").unwrap();
    let server = Server::start("hangup", &["--config", file.to_str().unwrap()]);
    let mut c = server.connect();
    let keys = |n| format!("*2\r\n$23\r\ntracking-table-max-keys\r\n$1\r\n{n}\r\n");
    c.says("CONFIG GET tracking-table-max-keys", &keys(7));
    c.says("CONFIG SET maxclients 60", "+OK\r\n");
    std::fs::write(&file, "tracking-table-max-keys = 8\nmaxclients = 50\n").unwrap();
    // SAFETY: a signal to a child that hasn't been waited for.
    assert_eq!(unsafe { libc::kill(server.child.id() as i32, libc::SIGHUP) }, 0);
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        c.send(command(&["CONFIG", "GET", "tracking-table-max-keys"]));
        let mut text = [0; 256];
        let len = c.0.read(&mut text).unwrap();
        if text[..len] == *keys(8).as_bytes() {
            break;
        }
        assert!(Instant::now() < end, "{}", String::from_utf8_lossy(&text[..len]));
        std::thread::sleep(Duration::from_millis(5));
    }
    c.says("CONFIG GET maxclients", "*2\r\n$10\r\nmaxclients\r\n$2\r\n60\r\n");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn what_a_client_did_not_take_goes_to_nobody_else() {
    let server = Server::start("gone", &["--threads", "1"]);
    let mut c = server.connect();
    c.says("SET secret of-another", "+OK\r\n");
    let ask = command(&["GET", "secret"]).repeat(4_000);
    for _ in 0..30 {
        // It is gone while its commands are still run, so that a write fails.
        let mut gone = server.connect();
        let _ = gone.0.write_all(&ask);
        drop(gone);
        let mut next = server.connect();
        for _ in 0..3 {
            next.says("ECHO mine", "$4\r\nmine\r\n");
        }
    }
}

#[test]
fn a_pipeline_of_large_values_is_written_as_it_goes() {
    let server = Server::start("pipeline", &["--output-limit", "8mb"]);
    let mut c = server.connect();
    let value = "v".repeat(3 << 20);
    c.send(command(&["SET", "k", &value]));
    c.reads("+OK\r\n");
    // All at once, and the last of them in two pieces: 60 MiB of replies, each below the limit.
    let mut asks = [command(&["GET", "k"]), command(&["INCR", "n"])].concat().repeat(20);
    let rest = asks.split_off(asks.len() - 3);
    c.send(&asks);
    for n in 1..20 {
        c.reads(format!("$3145728\r\n{value}\r\n:{n}\r\n"));
    }
    c.reads(format!("$3145728\r\n{value}\r\n"));
    c.send(rest);
    c.reads(":20\r\n");
    c.says("PING", "+PONG\r\n");
}
