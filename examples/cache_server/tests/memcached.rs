//! memcached's protocol, as bytes: what memcached 1.6.18 answers to the same (seen by running it),
//! and the same however the bytes are cut.

use larder_server::config::{Config, Live};
use larder_server::memcached::{COMMANDS, Context, Next, Session, step};
use larder_server::metrics::{Metrics, Protocol};
use larder_server::store::Store;
use larder_server::tracking::Tracking;
use proptest::prelude::*;

struct Server {
    store: Store,
    live: Live,
    counts: Protocol,
    metrics: Metrics,
}

impl Server {
    fn new() -> Server {
        Server::with(Config { maxmemory: 8 << 20, ..Config::default() })
    }

    fn with(config: Config) -> Server {
        let options = larder::Options::new(config.maxmemory);
        Server {
            store: Store::new(options, Tracking::new(1000)).unwrap(),
            live: Live::new(&config),
            counts: Protocol::new("memcached", COMMANDS),
            metrics: Metrics::new(Vec::new()),
        }
    }

    /// What a connection answers to pieces that come one after another. `<closed>` at the end: it is.
    fn answers(&self, pieces: &[&[u8]]) -> Vec<u8> {
        let cx = Context {
            store: &self.store,
            live: &self.live,
            counts: &self.counts,
            metrics: &self.metrics,
        };
        let (mut session, mut input, mut all) = (Session::default(), Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                let mut out = Vec::new();
                let (used, next) = step(&cx, &mut session, &input, &mut out);
                input.drain(..used);
                assert!(out.len() <= (64 << 10) + (16 << 10) + 1024, "answers are held");
                all.append(&mut out);
                match next {
                    Next::More => break,
                    Next::Flush => {}
                    Next::Send(payload) => all.extend_from_slice(payload.bytes()),
                    Next::Close => {
                        all.extend_from_slice(b"<closed>");
                        return all;
                    }
                }
            }
        }
        all
    }

    fn says(&self, input: &str) -> String {
        String::from_utf8(self.answers(&[input.as_bytes()])).unwrap()
    }
}

/// Each command's bytes and the answer, in order, on one server; a `|` stands for the end of a line.
fn transcript(lines: &[(&str, &str)]) {
    let server = Server::new();
    for (input, expected) in lines {
        let whole = |text: &str| text.replace('|', "\r\n");
        assert_eq!(server.says(&whole(input)), whole(expected), "{input}");
    }
}

#[test]
fn items_are_stored_and_told() {
    transcript(&[
        ("get a|", "END|"),
        ("set a 4294967295 0 1|x|", "STORED|"),
        ("get a|", "VALUE a 4294967295 1|x|END|"),
        ("get  a nope a |", "VALUE a 4294967295 1|x|VALUE a 4294967295 1|x|END|"),
        ("add a 0 0 1|y|", "NOT_STORED|"),
        ("replace a 7 0 2|yy|", "STORED|"),
        ("replace none 0 0 1|y|", "NOT_STORED|"),
        ("append a 9 0 1|z|", "STORED|"),
        ("prepend a 9 0 1|w|", "STORED|"),
        ("append none 0 0 1|z|", "NOT_STORED|"),
        ("get a|", "VALUE a 7 4|wyyz|END|"),
        ("set e 0 0 0||", "STORED|"),
        ("get e|", "VALUE e 0 0||END|"),
        ("delete a|", "DELETED|"),
        ("delete a|", "NOT_FOUND|"),
        ("delete e 0 noreply|get e|", "END|"),
        ("set q 0 0 1 noreply|x|get q|", "VALUE q 0 1|x|END|"),
        ("set a 4294967296 0 1|x|get a|", "STORED|VALUE a 0 1|x|END|"),
        ("set a 0 0 1 nonsense|x|", "STORED|"),
        ("flush_all|get a|", "OK|END|"),
        ("version|version 1|", "VERSION 1.6.18-larder-0.1.0|VERSION 1.6.18-larder-0.1.0|"),
        (
            "verbosity 1|verbosity|verbosity x|verbosity 1 noreply|",
            "OK|ERROR|CLIENT_ERROR bad command line format|",
        ),
        ("quit|get a|", "<closed>"),
    ]);
    // The binary protocol isn't spoken, and its clients learn that at once.
    assert_eq!(Server::new().answers(&[b"\x80\x0b"]), b"<closed>");
}

#[test]
fn a_swap_succeeds_on_the_cas_that_was_told() {
    let server = Server::new();
    server.says("set a 3 0 1\r\nx\r\n");
    let told = server.says("gets a none\r\n");
    let cas: u64 = told.split_whitespace().nth(4).unwrap().parse().unwrap();
    assert_eq!(told, format!("VALUE a 3 1 {cas}\r\nx\r\nEND\r\n"));
    assert_eq!(server.says("gets a\r\n"), told);
    assert_eq!(server.says(&format!("cas a 0 0 1 {}\r\ny\r\n", cas + 1)), "EXISTS\r\n");
    assert_eq!(server.says(&format!("cas a 5 0 1 {cas}\r\ny\r\n")), "STORED\r\n");
    assert_eq!(server.says(&format!("cas a 0 0 1 {cas}\r\nz\r\n")), "EXISTS\r\n");
    assert_eq!(server.says("get a\r\n"), "VALUE a 5 1\r\ny\r\nEND\r\n");
    assert_eq!(server.says("cas none 0 0 1 5\r\nx\r\n"), "NOT_FOUND\r\n");
    // A set that nobody asked the CAS of is another all the same.
    server.says("set a 0 0 1\r\nx\r\n");
    assert_eq!(server.says(&format!("cas a 0 0 1 {cas}\r\nz\r\n")), "EXISTS\r\n");
}

#[test]
fn counters_wrap_above_stay_at_0_below_and_keep_their_width() {
    transcript(&[
        ("set n 7 0 2|10|", "STORED|"),
        ("decr n 1|get n|", "9|VALUE n 7 2|9 |END|"),
        ("incr n 1|get n|", "10|VALUE n 7 2|10|END|"),
        ("incr n 90|get n|", "100|VALUE n 7 3|100|END|"),
        ("decr n 1000|get n|", "0|VALUE n 7 3|0  |END|"),
        ("incr n 18446744073709551615|incr n 2|", "18446744073709551615|1|"),
        ("incr n 18446744073709551616|", "CLIENT_ERROR invalid numeric delta argument|"),
        (
            "incr n x|incr n -1|incr n|",
            "CLIENT_ERROR invalid numeric delta argument|CLIENT_ERROR invalid numeric delta argument|ERROR|",
        ),
        ("incr none 1|", "NOT_FOUND|"),
        ("incr n 1 noreply|incr n 1|", "3|"),
        ("set s 0 0 3| 12|incr s 1|", "STORED|13|"),
        (
            "set s 0 0 3|-12|incr s 1|",
            "STORED|CLIENT_ERROR cannot increment or decrement non-numeric value|",
        ),
        (
            "set s 0 0 4|12ab|incr s 1|",
            "STORED|CLIENT_ERROR cannot increment or decrement non-numeric value|",
        ),
        ("set s 0 0 4|12 b|incr s 1|get s|", "STORED|13|VALUE s 0 4|13  |END|"),
        (
            "set s 0 0 0||incr s 1|",
            "STORED|CLIENT_ERROR cannot increment or decrement non-numeric value|",
        ),
        ("set s 0 0 21|000000000000000000012|incr s 1|", "STORED|13|"),
        ("set s 0 0 31|7                       garbage|incr s 1|ma s v|", "STORED|8|VA 1|9|"),
    ]);
}

#[test]
fn times_are_spans_up_to_30_days_and_moments_beyond() {
    transcript(&[
        ("set a 0 -1 1|x|get a|", "STORED|END|"),
        ("set a 0 2592001 1|x|get a|", "STORED|END|"),
        ("set a 0 2592000 1|x|mg a t|", "STORED|HD t2592000|"),
        ("set a 0 99999999999 1|x|get a|", "STORED|VALUE a 0 1|x|END|"),
        ("set a 0 1.5 1|x|", "CLIENT_ERROR bad command line format|ERROR|"),
        ("touch a 100|mg a t|", "TOUCHED|HD t100|"),
        ("touch a 0|mg a t|", "TOUCHED|HD t-1|"),
        (
            "touch none 0|touch a x|touch a|",
            "NOT_FOUND|CLIENT_ERROR invalid exptime argument|ERROR|",
        ),
        ("gat 50 a none|mg a t|", "VALUE a 0 1|x|END|HD t50|"),
        ("gat x a|gat|", "CLIENT_ERROR invalid exptime argument|ERROR|"),
        ("gat -1 a|get a|", "END|END|"),
        ("set a 0 0 1|x|touch a -1|get a|", "STORED|TOUCHED|END|"),
    ]);
}

#[test]
fn what_is_no_command_is_told_as_memcached_tells_it() {
    let long = "k".repeat(251);
    let bad = "CLIENT_ERROR bad command line format|";
    for (input, expected) in [
        ("foo|", "ERROR|"),
        ("|", "ERROR|"),
        ("GET a|", "ERROR|"),
        ("get|get |", "ERROR|ERROR|"),
        ("set a 0 0|set a 0 0 1 2 3 4|x|", "ERROR|ERROR|ERROR|"),
        ("set a 0 0 3|abcdef|", "CLIENT_ERROR bad data chunk|ERROR|"),
        ("set a -1 0 1|", bad),
        (
            "set a 0 0 -1|set a 0 0 2147483647|set a 0 0 9223372036854775807|set a 0 0 99999999999999999999|",
            &bad.repeat(4),
        ),
        ("cas a 0 0 1 x|cas a 0 0 1|", &format!("{bad}ERROR|")),
        ("delete a 5|", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]|"),
        ("delete|stats foo|stats reset|", "ERROR|ERROR|RESET|"),
        (
            "flush_all x|flush_all -5|flush_all 0 0 0|",
            "CLIENT_ERROR invalid exptime argument|OK|ERROR|",
        ),
        (&format!("get a {long}|set {long} 0 0 1|"), &bad.repeat(2)),
        (&format!("delete {long}|incr {long} 1|touch {long} 1|mg {long}|"), &bad.repeat(4)),
        (&format!("ms {long} 1|md {long}|ma {long}|me {long}|"), &bad.repeat(4)),
        ("get a\u{1}b|set a\tb 0 0 1|", &bad.repeat(2)),
    ] {
        transcript(&[(input, expected)]);
    }
}

#[test]
fn meta_gets_tell_what_is_asked_in_the_order_it_is_asked() {
    transcript(&[
        ("mg none v|mg none k O12|mg none k q|mg|", "EN|EN knone O12|ERROR|"),
        ("set a 5 0 3|abc|", "STORED|"),
        ("mg a|mg a s v t|mg a f k O1 s|", "HD|VA 3 s3 t-1|abc|HD f5 ka O1 s3|"),
        ("mg a vv q|", "VA 3|abc|"),
        (
            "mg a E|mg a s s|mg a S1|mg a x|",
            "CLIENT_ERROR bad token in command line format|CLIENT_ERROR duplicate flag|CLIENT_ERROR invalid flag|CLIENT_ERROR invalid flag|",
        ),
        (
            "mg a T|mg a Tx|mg a \u{7f}|",
            "CLIENT_ERROR bad token in command line format|CLIENT_ERROR bad token in command line format|CLIENT_ERROR duplicate flag|",
        ),
        ("mg a T30 t|mg a t T90|mg a t|", "HD t30|HD t30|HD t90|"),
        ("mg none O12 k b|mg !!! b|", "EN O12 knone b|CLIENT_ERROR error decoding key|"),
        ("ms Zm9v 3 b|abc|", "HD|"),
        (
            "mg foo k v|mg Zm9v k b O1 v|get foo|",
            "VA 3 kZm9v b|abc|VA 3 kZm9v b O1|abc|VALUE foo 0 3|abc|END|",
        ),
        ("mn|mn x|mg a P L u|", "MN|MN|HD|"),
    ]);
    let most = "O".repeat(32);
    assert_eq!(Server::new().says(&format!("mg a {most}\r\n")), format!("EN {most}\r\n"));
    let said = Server::new().says(&format!("mg a {most}O\r\n"));
    assert_eq!(said, "CLIENT_ERROR opaque token too long\r\n");
}

#[test]
fn meta_sets_have_modes() {
    transcript(&[
        ("ms a 1 k O9 T5 F7|x|mg a f t|", "HD ka O9|HD f7 t5|"),
        ("ms a 1 q|x|ms a 1 ME q O1 k|x|", "NS O1 ka|"),
        ("ms n 1 MR|x|ms n 1 MA|x|ms n 1 MP|x|", "NS|NS|NS|"),
        ("ms n 1 ME|x|ms n 1 MA|y|ms n 1 MP|w|ms n 1 MA|z|mg n v|", "HD|HD|HD|HD|VA 4|wxyz|"),
        (
            "ms a 1 MZ|x|ms a 1 M|x|",
            "CLIENT_ERROR invalid mode for ms M token|CLIENT_ERROR incorrect length for M token|",
        ),
        (
            "ms a S1|ms a x|ms a -1|ms a|ms|",
            "CLIENT_ERROR bad command line format|CLIENT_ERROR bad command line format|CLIENT_ERROR bad command line format|CLIENT_ERROR bad command line format|ERROR|",
        ),
        ("ms a 1|xyz|", "CLIENT_ERROR bad data chunk|ERROR|"),
        (
            "ms a 1 F-1|x|ms !!! 1 b|x|mn|",
            "CLIENT_ERROR bad command line format|CLIENT_ERROR error decoding key|MN|",
        ),
        ("ms a 1 T-1|x|mg a|", "HD|EN|"),
        ("ms a 1 C99999|x|ms a 1|x|ms a 1 C99999 q|x|", "NF|HD|EX|"),
        ("md a k O5|md a k O5|md a q|", "HD ka O5|NF ka O5|NF|"),
        (
            "ms a 1|x|md a C99999|md a q|mg a|md a x|",
            "HD|EX|EN|CLIENT_ERROR invalid or duplicate flag|",
        ),
    ]);
}

#[test]
fn meta_arithmetic_makes_and_steps() {
    transcript(&[
        ("ma n|ma n q|", "NF|NF|"),
        ("ma n N0 J5 v|ma n t v k O1|ma n MD D99 v|", "VA 1|5|VA 1 t-1 kn O1|6|VA 1|0|"),
        (
            "ma n MI v|ma n M- v|ma n M+ D10|ma n MD v|ma n q|ma n q v|ma n v|",
            "VA 1|1|VA 1|0|HD|VA 1|9|VA 2|12|",
        ),
        (
            "ma n MX|ma n Md|",
            "CLIENT_ERROR invalid mode for ma M token|CLIENT_ERROR invalid mode for ma M token|",
        ),
        ("ma y t T9 N80 q|mg y t|mg x f N80 T70 t|", "HD t-1|HD t80|HD f0 t70 W|"),
        (
            "ma n M|ma n D-1|ma n J-1|ma n Dx|ma n N|",
            &"CLIENT_ERROR invalid or duplicate flag|".repeat(5),
        ),
        ("ma n C99999|ma n C99999 q|", "EX|EX|"),
        ("ma z N30 J7 t v|mg z t|ma z T60 t|", "VA 1 t30|7|HD t30|HD t60|"),
        ("ms txt 1|x|ma txt|", "HD|CLIENT_ERROR cannot increment or decrement non-numeric value|"),
    ]);
}

/// The value of a flag in an answer.
fn flag(answer: &str, letter: char) -> String {
    answer.split_whitespace().find_map(|word| word.strip_prefix(letter)).unwrap().into()
}

#[test]
fn one_client_wins_a_stale_item_and_the_others_are_told_that_it_is_stale() {
    let server = Server::new();
    let before = flag(&server.says("ms w 1 c\r\nx\r\n"), 'c');
    assert_eq!(server.says("md w I T30\r\n"), "HD\r\n");
    let first = server.says("mg w c v t\r\n");
    let cas = flag(&first, 'c');
    assert_eq!(first, format!("VA 1 c{cas} t30 X W\r\nx\r\n"));
    assert_ne!(cas, before);
    assert_eq!(server.says("mg w v t\r\nmg w\r\n"), "VA 1 t30 Z X\r\nx\r\nHD Z X\r\n");
    // Who comes with the CAS from before stores what is stale already, and nobody else wins for it.
    assert_eq!(server.says(&format!("ms w 1 C{before} I\r\ny\r\n")), "HD\r\n");
    assert_eq!(server.says("mg w v\r\n"), "VA 1 Z X\r\ny\r\n");
    // The winner's value is fresh.
    let cas = flag(&server.says("mg w c\r\n"), 'c');
    assert_eq!(server.says(&format!("ms w 1 C{cas}\r\nz\r\n")), "HD\r\n");
    assert_eq!(server.says("mg w v\r\n"), "VA 1\r\nz\r\n");
    // An item made stale again has another winner.
    assert_eq!(server.says("md w I q\r\nmg w\r\nmg w\r\n"), "HD X W\r\nHD Z X\r\n");
    // Whatever time is left: of a stale item there is one winner.
    assert_eq!(server.says("touch w 5\r\nmg w R90\r\n"), "TOUCHED\r\nHD Z X\r\n");
    assert_eq!(server.says("md none I\r\n"), "NF\r\n");
}

#[test]
fn one_client_is_to_fill_what_was_missing_or_is_about_to_expire() {
    transcript(&[
        ("mg v N30 v t|mg v N30 v t|", "VA 0 t30 W||VA 0 t30 Z||"),
        ("ms v 1|x|mg v N30 v t|", "HD|VA 1 t-1|x|"),
        (
            "ms r 1 T20|x|mg r R10 v|mg r R30 v|mg r R30 v|mg r v|",
            "HD|VA 1|x|VA 1 W|x|VA 1 Z|x|VA 1 Z|x|",
        ),
        ("mg r R30 T90 t|ms r 1|y|mg r v|", "HD t90 Z|HD|VA 1|y|"),
    ]);
}

#[test]
fn a_stale_item_keeps_its_tags_and_flags() {
    let server = Server::new();
    let options = larder::SetOptions { tags: &[b"tag"], user: 9, ..Default::default() };
    server.store.set_with(0, b"a", b"x", &options).unwrap();
    assert_eq!(server.says("md a I\r\nmg a f\r\n"), "HD\r\nHD f9 X W\r\n");
    assert_eq!(server.says("ms b 1 T5\r\nx\r\nmg b R60\r\n"), "HD\r\nHD W\r\n");
    server.store.invalidate(0, b"tag", false).unwrap();
    assert_eq!(server.says("mg a\r\n"), "EN\r\n");
}

#[test]
fn debugging_tells_an_item() {
    let server = Server::new();
    assert_eq!(server.says("me a\r\nme\r\n"), "EN\r\nCLIENT_ERROR bad command line format\r\n");
    server.says("ms Zm9v 3 b T9\r\nabc\r\n");
    let told = server.says("me foo\r\n");
    assert!(told.starts_with("ME Zm9v exp=9 la=0 cas=") && told.contains(" fetch=no "), "{told}");
}

#[test]
fn statistics_have_what_tools_look_for() {
    let server = Server::new();
    let told = server.says("set a 0 0 1\r\nx\r\nget a\r\nget b\r\nstats\r\n");
    for line in [
        "STAT cmd_get 2",
        "STAT cmd_set 1",
        "STAT get_hits 1",
        "STAT get_misses 1",
        "STAT curr_items 1",
        "STAT limit_maxbytes 8388608",
    ] {
        assert!(told.contains(&format!("{line}\r\n")), "{line}: {told}");
    }
    assert!(told.ends_with("END\r\n"));
    assert!(server.says("stats settings\r\n").contains("STAT item_size_max 2097152\r\n"));
    assert_eq!(server.says("stats items\r\nstats slabs\r\n"), "END\r\nEND\r\n");
}

#[test]
fn a_password_is_shown_by_a_set() {
    let config =
        Config { maxmemory: 1 << 20, requirepass: Some("secret".into()), ..Config::default() };
    let server = Server::with(config);
    let not = "CLIENT_ERROR unauthenticated\r\n";
    assert_eq!(server.says("get a\r\nversion\r\nmn\r\n"), not.repeat(3));
    assert_eq!(
        server.says("set x 0 0 9\r\nme secret\r\nset a 0 0 1\r\nx\r\nget a\r\n"),
        "STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"
    );
    assert_eq!(
        server.says("set x 0 0 8\r\nme wrong\r\nget a\r\nset x 0 0 6\r\nsecret\r\n"),
        format!(
            "CLIENT_ERROR authentication failure\r\n{not}CLIENT_ERROR bad authentication token format\r\n"
        )
    );
    assert_eq!(server.says("set x 0 0 99999999\r\nquit\r\n"), format!("{not}<closed>"));
    // Not even a line without an end is more than that.
    let long = format!("get {}", "k ".repeat(2000));
    assert!(server.says(&long).ends_with("<closed>"));
}

#[test]
fn what_is_too_large_is_passed_over_and_takes_the_old_value_with_it() {
    let server = Server::new();
    server.says("set a 0 0 1\r\nx\r\n");
    let large = format!("set a 0 0 3000000\r\n{}\r\nget a\r\n", "x".repeat(3_000_000));
    assert_eq!(server.says(&large), "SERVER_ERROR object too large for cache\r\nEND\r\n");
    let large = format!("ms a 3000000\r\n{}\r\nmn\r\n", "x".repeat(3_000_000));
    assert_eq!(server.says(&large), "SERVER_ERROR object too large for cache\r\nMN\r\n");
    // What was never sent takes no memory.
    assert_eq!(
        server.says("set a 0 0 2147483644\r\nx"),
        "SERVER_ERROR object too large for cache\r\n"
    );
}

#[test]
fn values_of_any_length_come_back() {
    let server = Server::new();
    for len in [0, 1, 16_384, 16_385, 200_000] {
        let value: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
        let mut set = format!("set v 3 0 {len}\r\n").into_bytes();
        set.extend_from_slice(&value);
        set.extend_from_slice(b"\r\n");
        assert_eq!(server.answers(&[&set]), b"STORED\r\n");
        let mut expected = format!("VALUE v 3 {len}\r\n").into_bytes();
        expected.extend_from_slice(&value);
        expected.extend_from_slice(b"\r\n");
        let twice = [&expected[..], &expected[..], b"END\r\nMN\r\n"].concat();
        assert_eq!(server.answers(&[b"get v none v\r\nmn\r\n"]), twice);
        let meta = server.answers(&[b"mg v v k c\r\n"]);
        assert!(meta.starts_with(format!("VA {len} kv c").as_bytes()));
        assert!(meta.ends_with(&[&value[..], b"\r\n"].concat()));
    }
}

#[test]
fn a_get_of_a_million_bytes_of_keys_is_done_as_it_comes() {
    let server = Server::new();
    server.says("set k 0 0 100\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    let keys = format!("get {}\r\nmn\r\n", "k none ".repeat(150_000));
    let whole = server.answers(&[keys.as_bytes()]);
    assert_eq!(whole.len(), 150_000 * (16 + 102) - 150_000 + 5 + 4);
    assert!(whole.ends_with(b"\r\nEND\r\nMN\r\n"));
    let pieces: Vec<&[u8]> = keys.as_bytes().chunks(977).collect();
    assert!(server.answers(&pieces) == whole);
    // A key that can't be one ends it, since the answer has begun.
    let bad = format!("get {} {}", "k ".repeat(2000), "x".repeat(300));
    assert!(server.says(&bad).ends_with("CLIENT_ERROR bad command line format\r\n<closed>"));
    assert_eq!(server.says(&"x".repeat(3000)), "CLIENT_ERROR line too long\r\n<closed>");
}

/// A command, right or wrong.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![Just("a"), Just("b"), Just("Zm9v"), Just("")];
    let name = prop_oneof![
        Just("get"),
        Just("gets"),
        Just("gat 5"),
        Just("set"),
        Just("add"),
        Just("cas"),
        Just("append"),
        Just("incr"),
        Just("decr"),
        Just("touch"),
        Just("delete"),
        Just("mg"),
        Just("ms"),
        Just("md"),
        Just("ma"),
        Just("mn"),
        Just("me"),
        Just("flush_all"),
        Just("version"),
        Just("")
    ];
    let tail = prop_oneof![
        Just(""),
        Just(" 0"),
        Just(" 0 0 3"),
        Just(" 0 0 3 noreply"),
        Just(" 3"),
        Just(" 3 c T9 b"),
        Just(" v k O1"),
        Just(" v N5 t"),
        Just(" 0 0 3 1"),
        Just(" q I"),
        Just(" 1"),
        Just(" b k a a a"),
        Just(" 0 0 99999999"),
        Just(" 0 0 -1"),
        Just(" v R99")
    ];
    let end =
        prop_oneof![4 => Just("\r\n"), 2 => Just("\r\nabc\r\n"), 1 => Just("\n"), 1 => Just("")];
    let text = (name, key, tail, end).prop_map(|(name, key, tail, end)| {
        [name.as_bytes(), b" ", key.as_bytes(), tail.as_bytes(), end.as_bytes()].concat()
    });
    prop_oneof![9 => text, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

/// CAS values differ between two servers.
fn without_cas(answer: &[u8]) -> Vec<u8> {
    let text: String = answer.iter().map(|&byte| char::from(byte)).collect();
    let lines = text.split("\r\n").map(|line| {
        if !(line.starts_with("VALUE")
            || line.starts_with("HD")
            || line.starts_with("VA ")
            || line.starts_with("ME"))
        {
            return line.to_owned();
        }
        let words = line.split(' ').enumerate().filter(|(i, word)| {
            !(word.starts_with('c') && word.len() > 1 || *i == 4 && line.starts_with("VALUE"))
        });
        words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\r\n").into_bytes()
}

/// `make fuzz` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn it_is_the_same_wherever_the_bytes_are_cut(commands in prop::collection::vec(command(), 1..12)) {
        let bytes = commands.concat();
        let whole = without_cas(&Server::new().answers(&[&bytes]));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&without_cas(&Server::new().answers(&single)), &whole);
        for cut in 0..bytes.len() {
            let (one, two) = bytes.split_at(cut);
            if cut % 7 == 0 {
                prop_assert_eq!(&without_cas(&Server::new().answers(&[one, two])), &whole);
            }
        }
    }

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        Server::new().answers(&[&bytes]);
    }
}
