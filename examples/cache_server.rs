//! A cache server: larder behind the text protocol of memcached (get, set, delete, flush_all, stats, version, quit).
//!
//! ```console
//! $ cargo run --release --example cache_server -- 127.0.0.1:11211 256
//! $ printf 'set soup 0 60 6\r\ntomato\r\nget soup\r\nquit\r\n' | nc 127.0.0.1 11211
//! ```
//!
//! The arguments are the address and the budget in MiB. One thread a connection, and a bound on connections. An entry is the client's 32-bit
//! flags, then its data.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use larder::{Cache, Error, Options, Ttl};

const MAX_CONNECTIONS: usize = 256;
/// The protocol's own limit. The cache would take 64 KiB.
const MAX_KEY: usize = 250;
/// Room for a get of some dozen keys.
const MAX_LINE: u64 = 8192;
const IDLE: Duration = Duration::from_secs(300);
/// Larger times are moments, not spans.
const MONTH: i64 = 30 * 24 * 3600;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:11211".into());
    let mebibytes: u64 = args.next().map_or(Ok(64), |n| n.parse()).map_err(io::Error::other)?;
    let cache = Cache::new(Options::new(mebibytes << 20)).map_err(io::Error::other)?;
    let listener = TcpListener::bind(address)?;
    println!("{mebibytes} MiB at {}", listener.local_addr()?);
    serve(&listener, &Arc::new(cache))
}

/// Accepts connections until the listener fails.
pub fn serve(listener: &TcpListener, cache: &Arc<Cache>) -> io::Result<()> {
    let connections = Arc::new(AtomicUsize::new(0));
    loop {
        let (mut stream, _) = listener.accept()?;
        if connections.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            connections.fetch_sub(1, Ordering::Relaxed);
            let _ = stream.write_all(b"SERVER_ERROR too many connections\r\n");
            continue;
        }
        let (cache, connections) = (Arc::clone(cache), Arc::clone(&connections));
        std::thread::spawn(move || {
            // A client that goes away is no news.
            let _ = Connection::new(&stream, &cache).and_then(|mut c| c.run());
            connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

struct Connection<'a> {
    cache: &'a Cache,
    input: BufReader<&'a TcpStream>,
    output: BufWriter<&'a TcpStream>,
    line: Vec<u8>,
    /// The entry being written or read, used again for each.
    entry: Vec<u8>,
}

/// What a command means for the connection.
enum Then {
    Answer(&'static str),
    /// The answer is written already, or none is wanted.
    Nothing,
    Close,
}

impl<'a> Connection<'a> {
    fn new(stream: &'a TcpStream, cache: &'a Cache) -> io::Result<Self> {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_nodelay(true)?;
        let (input, output) = (BufReader::new(stream), BufWriter::new(stream));
        Ok(Connection { cache, input, output, line: Vec::new(), entry: Vec::new() })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            // Answers to commands that came in one packet go out in one.
            if self.input.buffer().is_empty() {
                self.output.flush()?;
            }
            self.line.clear();
            (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut self.line)?;
            let Some(line) = self.line.strip_suffix(b"\n") else {
                if !self.line.is_empty() {
                    self.output.write_all(b"CLIENT_ERROR line too long\r\n")?;
                }
                return self.output.flush();
            };
            // Keys are bytes, but none with blanks or control characters: those are not for this protocol.
            let line =
                String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            match self.command(&line)? {
                Then::Answer(text) => {
                    self.output.write_all(text.as_bytes())?;
                    self.output.write_all(b"\r\n")?;
                }
                Then::Nothing => {}
                Then::Close => return self.output.flush(),
            }
        }
    }

    fn command(&mut self, line: &str) -> io::Result<Then> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["get", ref keys @ ..] if !keys.is_empty() => self.get(keys),
            ["set", key, flags, exptime, bytes] => self.set(key, flags, exptime, bytes, false),
            ["set", key, flags, exptime, bytes, "noreply"] => {
                self.set(key, flags, exptime, bytes, true)
            }
            ["delete", key] => Ok(Then::Answer(self.delete(key))),
            ["delete", key, "noreply"] => {
                self.delete(key);
                Ok(Then::Nothing)
            }
            ["flush_all"] => {
                let _ = self.cache.clear();
                Ok(Then::Answer("OK"))
            }
            ["stats"] => self.stats(),
            ["version"] => Ok(Then::Answer(concat!("VERSION larder-", env!("CARGO_PKG_VERSION")))),
            ["quit"] => Ok(Then::Close),
            _ => Ok(Then::Answer("ERROR")),
        }
    }

    fn get(&mut self, keys: &[&str]) -> io::Result<Then> {
        for key in keys {
            self.entry.clear();
            if self.cache.get_into(key.as_bytes(), &mut self.entry)
                && let Some((flags, data)) = self.entry.split_first_chunk()
            {
                write!(
                    self.output,
                    "VALUE {key} {} {}\r\n",
                    u32::from_le_bytes(*flags),
                    data.len()
                )?;
                self.output.write_all(data)?;
                self.output.write_all(b"\r\n")?;
            }
        }
        Ok(Then::Answer("END"))
    }

    fn set(
        &mut self,
        key: &str,
        flags: &str,
        exptime: &str,
        bytes: &str,
        quiet: bool,
    ) -> io::Result<Then> {
        let (Ok(flags), Ok(exptime), Ok(len)) =
            (flags.parse::<u32>(), exptime.parse::<i64>(), bytes.parse::<u64>())
        else {
            // Without a length nobody knows where the next command begins.
            self.output.write_all(b"CLIENT_ERROR bad command line format\r\n")?;
            return Ok(Then::Close);
        };
        let largest = self.cache.stats().map_or(0, |s| s.max_bytes / 4);
        if len + 4 > largest {
            // Read past it without keeping it, so that a length can't make this process allocate.
            let mut data = (&mut self.input).take(len + 2);
            io::copy(&mut data, &mut io::sink())?;
            return Ok(Then::Answer("SERVER_ERROR object too large for cache"));
        }
        self.entry.clear();
        self.entry.extend_from_slice(&flags.to_le_bytes());
        (&mut self.input).take(len + 2).read_to_end(&mut self.entry)?;
        if self.entry.len() as u64 != 4 + len + 2 || !self.entry.ends_with(b"\r\n") {
            self.output.write_all(b"CLIENT_ERROR bad data chunk\r\n")?;
            return Ok(Then::Close);
        }
        self.entry.truncate(4 + len as usize);
        let answer = if key.len() > MAX_KEY {
            "CLIENT_ERROR key too long"
        } else {
            match self.store(key, exptime) {
                Ok(()) => "STORED",
                Err(Error::ValueTooLarge) => "SERVER_ERROR object too large for cache",
                Err(_) => "SERVER_ERROR out of memory storing object",
            }
        };
        Ok(if quiet { Then::Nothing } else { Then::Answer(answer) })
    }

    /// Stores what is in `entry`.
    fn store(&self, key: &str, exptime: i64) -> Result<(), Error> {
        let seconds = match exptime {
            0 => return self.cache.set_ttl(key.as_bytes(), &self.entry, Ttl::Never),
            1..=MONTH => exptime,
            _ => {
                exptime
                    - SystemTime::now()
                        .duration_since(SystemTime::UNIX_EPOCH)
                        .map_or(0, |d| d.as_secs() as i64)
            }
        };
        if seconds <= 0 {
            // Expired already: stored and gone.
            self.cache.delete(key.as_bytes());
            return Ok(());
        }
        self.cache.set_ttl(key.as_bytes(), &self.entry, Duration::from_secs(seconds as u64))
    }

    fn delete(&self, key: &str) -> &'static str {
        if self.cache.delete(key.as_bytes()) { "DELETED" } else { "NOT_FOUND" }
    }

    fn stats(&mut self) -> io::Result<Then> {
        let s = self.cache.stats().map_err(io::Error::other)?;
        for (name, number) in [
            ("get_hits", s.hits),
            ("get_misses", s.misses),
            ("cmd_set", s.sets),
            ("curr_items", s.entries),
            ("evictions", s.evictions),
            ("expirations", s.expirations),
            ("bytes", s.bytes),
            ("limit_maxbytes", s.max_bytes),
        ] {
            write!(self.output, "STAT {name} {number}\r\n")?;
        }
        Ok(Then::Answer("END"))
    }
}
