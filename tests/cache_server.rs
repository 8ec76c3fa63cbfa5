//! Drives examples/cache_server.rs over a socket, as a memcached client would.

#[path = "../examples/cache_server.rs"]
#[allow(dead_code)]
mod cache_server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, Options};

fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cache = Arc::new(Cache::new(Options::new(8 << 20)).unwrap());
    std::thread::spawn(move || cache_server::serve(&listener, &cache));
    address
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line of the answer, without its end; empty once the connection is closed.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches("\r\n").into()
    }

    #[track_caller]
    fn expect(&mut self, command: &str, answer: &[&str]) {
        self.send(command);
        for want in answer {
            assert_eq!(self.line(), *want, "after {command:?}");
        }
    }
}

#[test]
fn get_set_delete() {
    let mut c = Client::connect(start());
    c.expect("get soup\r\n", &["END"]);
    c.expect("set soup 7 0 6\r\ntomato\r\n", &["STORED"]);
    c.expect("get soup\r\n", &["VALUE soup 7 6", "tomato", "END"]);
    c.expect("set bread 0 0 0\r\n\r\n", &["STORED"]);
    c.expect(
        "get bread soup none\r\n",
        &["VALUE bread 0 0", "", "VALUE soup 7 6", "tomato", "END"],
    );
    c.expect("delete soup\r\n", &["DELETED"]);
    c.expect("delete soup\r\n", &["NOT_FOUND"]);
    c.expect("get soup\r\n", &["END"]);
    c.expect("flush_all\r\n", &["OK"]);
    c.expect("get bread\r\n", &["END"]);
    c.expect("quit\r\n", &[""]);
}

#[test]
fn expiry_times() {
    let mut c = Client::connect(start());
    c.expect("set past 0 -1 1\r\nx\r\n", &["STORED"]);
    c.expect("get past\r\n", &["END"]);
    // Beyond a month it is a moment since 1970: long gone, and far away.
    c.expect("set gone 0 1000000000 1\r\nx\r\n", &["STORED"]);
    c.expect("get gone\r\n", &["END"]);
    c.expect("set later 0 32503680000 1\r\nx\r\n", &["STORED"]);
    c.expect("get later\r\n", &["VALUE later 0 1", "x", "END"]);
    c.expect("set soon 0 1 1\r\nx\r\n", &["STORED"]);
    std::thread::sleep(Duration::from_millis(1100));
    c.expect("get soon\r\n", &["END"]);
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let mut c = Client::connect(start());
    c.send(
        "set a 0 0 1 noreply\r\n1\r\nset b 0 0 1\r\n2\r\nget a\r\nget b\r\ndelete a noreply\r\nget a\r\nversion\r\n",
    );
    let expected = ["STORED", "VALUE a 0 1", "1", "END", "VALUE b 0 1", "2", "END", "END"];
    for want in expected {
        assert_eq!(c.line(), want);
    }
    assert!(c.line().starts_with("VERSION larder-"));
}

#[test]
fn bad_input_is_answered() {
    let address = start();
    let mut c = Client::connect(address);
    c.expect("nonsense\r\n", &["ERROR"]);
    c.expect("get\r\n", &["ERROR"]);
    c.expect(&format!("set {} 0 0 1\r\nx\r\n", "k".repeat(251)), &["CLIENT_ERROR key too long"]);
    // Over a quarter of the budget: skipped, and the connection goes on.
    let huge = "x".repeat((2 << 20) + 1);
    c.expect(
        &format!("set huge 0 0 {}\r\n{huge}\r\n", huge.len()),
        &["SERVER_ERROR object too large for cache"],
    );
    c.expect("get huge\r\n", &["END"]);
    c.expect("set k 0 0 3\r\nlonger\r\n", &["CLIENT_ERROR bad data chunk", ""]);

    let mut c = Client::connect(address);
    c.expect("set k 0 0 many\r\n", &["CLIENT_ERROR bad command line format", ""]);
    let mut c = Client::connect(address);
    c.expect(&"x".repeat(8192), &["CLIENT_ERROR line too long", ""]);

    let mut c = Client::connect(address);
    c.send("set k 0 0 10\r\nhalf");
    c.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = String::new();
    c.0.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "CLIENT_ERROR bad data chunk\r\n");
}

#[test]
fn many_clients_share_one_cache() {
    let address = start();
    let threads: Vec<_> = (0..8)
        .map(|t| {
            std::thread::spawn(move || {
                let mut c = Client::connect(address);
                for i in 0..200 {
                    let value = format!("{t}-{i}");
                    c.expect(&format!("set k{t} 0 0 {}\r\n{value}\r\n", value.len()), &["STORED"]);
                    c.expect(
                        &format!("get k{t}\r\n"),
                        &[&format!("VALUE k{t} 0 {}", value.len()), &value, "END"],
                    );
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let mut c = Client::connect(address);
    c.send("stats\r\n");
    let mut stats = Vec::new();
    loop {
        let line = c.line();
        if line == "END" {
            break;
        }
        stats.push(line);
    }
    for want in [
        "STAT get_hits 1600",
        "STAT cmd_set 1600",
        "STAT curr_items 8",
        "STAT limit_maxbytes 8388608",
    ] {
        assert!(stats.iter().any(|line| line == want), "{want} in {stats:?}");
    }
}
