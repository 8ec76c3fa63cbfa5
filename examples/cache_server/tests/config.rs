//! Settings: who comes first, what is wrong is said with its place and its range, and what a reload
//! changes.

use larder_server::config::options::OPTIONS;
use larder_server::config::{Config, Live, Request, Sources, load, reload};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A file that goes with its name.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("larder-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Scratch(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn sources(flags: &[&str], environment: &[(&str, &str)]) -> Sources {
    Sources {
        flags: flags.iter().map(Into::into).collect(),
        environment: environment.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
    }
}

fn config(flags: &[&str], environment: &[(&str, &str)]) -> Config {
    match load(&sources(flags, environment)) {
        Ok((Request::Serve(config) | Request::Check(config), _)) => *config,
        other => panic!("{flags:?}: {other:?}"),
    }
}

fn refused(flags: &[&str], environment: &[(&str, &str)]) -> String {
    load(&sources(flags, environment)).expect_err("refused").to_string()
}

#[test]
fn flags_come_before_variables_and_they_before_the_file() {
    let file = Scratch::new("order.toml", "port = 1\nhttp_port = 2\nadmin-port = 3\n");
    let flags = ["--config", file.path(), "--port", "10"];
    let environment = [("LARDER_PORT", "11"), ("LARDER_HTTP_PORT", "12")];
    let config = config(&flags, &environment);
    assert_eq!(
        (config.port, config.http_port, config.admin_port, config.memcached_port),
        (Some(10), Some(12), Some(3), None)
    );
}

#[test]
fn the_file_may_be_named_by_a_variable_and_has_types() {
    let text =
        "bind = [\"127.0.0.1\", \"::1\"]\nmaxmemory = \"1gb\"\nenable-debug-command = true\n";
    let file = Scratch::new("types.toml", text);
    let config = config(&[], &[("LARDER_CONFIG", file.path())]);
    assert_eq!((config.bind.len(), config.maxmemory, config.enable_debug), (2, 1 << 30, true));
}

#[test]
fn without_anything_it_listens_on_this_machine_only() {
    let config = config(&[], &[]);
    assert!(config.bind.iter().all(|address| address.is_loopback()));
    assert_eq!(
        (config.port, config.memcached_port, config.http_port, config.admin_port),
        (Some(6380), None, None, None)
    );
    assert_eq!(config, Config::default());
}

#[test]
fn what_is_out_of_range_is_named_with_its_place_and_range() {
    let file = Scratch::new("bad.toml", "# settings\n\nmemcached-port = 99999\n");
    assert_eq!(
        refused(&["--config", file.path()], &[]),
        format!("{}:3: memcached-port: \"99999\" is not 0 (off) to 65535", file.path())
    );
    let file = Scratch::new("type.toml", "maxclients = { a = 1 }\n");
    assert_eq!(
        refused(&["--config", file.path()], &[]),
        format!("{}:1: maxclients: must be 1 to 1000000", file.path())
    );
    let file = Scratch::new("syntax.toml", "port = 1\nport = = 2\n");
    assert!(refused(&["--config", file.path()], &[]).starts_with(&format!("{}:2: ", file.path())));
    let file = Scratch::new("unknown.toml", "max-memory-size = 1\nmaxmemory-x = 2\n");
    assert!(refused(&["--config", file.path()], &[]).contains(":1: max-memory-size: there is no"));
    assert_eq!(refused(&["--maxclients", "0"], &[]), "--maxclients: \"0\" is not 1 to 1000000");
    assert_eq!(
        refused(&[], &[("LARDER_TIMEOUT", "-1")]),
        "LARDER_TIMEOUT: \"-1\" is not 0 to 24h: a number of seconds, or one with ms, s, m or h"
    );
    assert!(refused(&["--maxmemory"], &[]).contains("maxmemory"));
    assert!(refused(&["--prot", "1"], &[]).starts_with("--prot: there is no such option"));
    assert!(refused(&["--memcached", "1"], &[]).contains("is memcached-port meant?"));
    assert!(refused(&["stray"], &[]).starts_with("command line: "));
    assert!(refused(&["--config", "/nonexistent/file"], &[]).contains("can't be read"));
}

#[test]
fn a_password_that_is_too_long_is_not_repeated() {
    let secret = "s".repeat(513);
    let said = refused(&["--requirepass", &secret], &[]);
    assert!(said.contains("the password is not up to 512 bytes"), "{said}");
    assert!(!said.contains("sss"));
}

#[test]
fn a_password_may_lie_in_a_file() {
    let file = Scratch::new("password", "open sesame\nnot this\n");
    let loaded = config(&["--requirepass-file", file.path()], &[]);
    assert_eq!(loaded.requirepass.as_deref(), Some("open sesame"));
    let both = ["--requirepass-file", file.path(), "--requirepass", "x"];
    assert!(refused(&both, &[]).contains("only one of them"));
    let empty = Scratch::new("empty", "\n");
    assert!(refused(&["--requirepass-file", empty.path()], &[]).contains("1 to 512 bytes"));
}

#[test]
fn what_kubernetes_says_of_a_service_of_this_name_is_no_setting() {
    let environment = [
        ("LARDER_PORT", "tcp://10.0.0.1:6380"),
        ("LARDER_PORT_6380_TCP_ADDR", "10.0.0.1"),
        ("LARDER_SERVICE_HOST", "10.0.0.1"),
    ];
    let (request, strangers) = load(&sources(&[], &environment)).unwrap();
    assert_eq!(request, Request::Serve(Box::default()));
    assert_eq!(strangers, ["LARDER_PORT", "LARDER_PORT_6380_TCP_ADDR", "LARDER_SERVICE_HOST"]);
}

#[test]
fn tls_needs_both_files() {
    let said = refused(&["--tls-port", "1", "--tls-cert-file", "x"], &[]);
    assert!(said.contains("both are needed"), "{said}");
}

#[test]
fn what_an_option_tells_can_be_set_again() {
    let loaded = config(&["--requirepass", "x", "--unixsocket", "/run/larder.sock"], &[]);
    for option in OPTIONS.iter().filter(|option| option.name != "requirepass") {
        let (flag, said) = (format!("--{}", option.name), (option.get)(&loaded));
        let again = config(&[&flag, &said], &[]);
        assert_eq!((option.get)(&again), said, "{}", option.name);
    }
}

#[test]
fn a_reload_changes_what_can_be_and_says_what_cannot() {
    let file = Scratch::new("reload.toml", "maxclients = 5\nrequirepass = \"old\"\nport = 7000\n");
    let sources = sources(&["--config", file.path(), "--timeout", "7"], &[]);
    let Ok((Request::Serve(old), _)) = load(&sources) else { panic!() };
    let live = Live::new(&old);
    fs::write(file.path(), "maxclients = 6\nrequirepass = \"new\"\nport = 7001\ntimeout = 9\n")
        .unwrap();
    let reloaded = reload(&sources, &old, &live).unwrap();
    assert_eq!(reloaded.changed, ["maxclients", "requirepass"]);
    assert_eq!(reloaded.kept, ["port"]);
    assert_eq!((reloaded.config.port, live.maxclients()), (Some(7000), 6));
    assert!(
        live.admits(b"new") && !live.admits(b"old") && !live.admits(b"new ") && !live.admits(b"")
    );
    // The flag still comes first.
    assert_eq!(live.timeout(), Some(Duration::from_secs(7)));
    // What is wrong changes nothing.
    fs::write(file.path(), "maxclients = 0\n").unwrap();
    assert!(reload(&sources, &reloaded.config, &live).is_err());
    assert_eq!(live.maxclients(), 6);
}

#[test]
fn a_reload_leaves_what_was_changed_meanwhile_and_the_sources_say_as_before() {
    let file = Scratch::new("again.toml", "maxclients = 5\nrequirepass = \"old\"\n");
    let sources = sources(&["--config", file.path()], &[]);
    let Ok((Request::Serve(old), _)) = load(&sources) else { panic!() };
    let live = Live::new(&old);
    live.set_maxclients(9);
    live.set_password(b"another");
    live.set_maxmemory(8 << 20);
    let more =
        "maxclients = 5\nrequirepass = \"old\"\nquery-limit = \"1mb\"\nshutdown-timeout = 3\n";
    fs::write(file.path(), more).unwrap();
    let reloaded = reload(&sources, &old, &live).unwrap();
    assert_eq!(reloaded.changed, ["query-limit", "shutdown-timeout"]);
    assert_eq!(live.maxclients(), 9);
    assert!(live.admits(b"another") && !live.admits(b"old"));
    assert_eq!((live.query_limit(), live.longest_value()), (1 << 20, 1 << 20));
    assert_eq!((live.maxmemory(), live.drain()), (8 << 20, Duration::from_secs(3)));
}

#[test]
fn every_option_is_in_the_help_and_the_table() {
    let (help, reference) = (larder_server::config::help(), larder_server::config::reference());
    for option in OPTIONS {
        assert!(help.contains(&format!("--{} {}", option.name, option.value)), "{}", option.name);
        assert!(reference.contains(&format!("| `{}` |", option.name)), "{}", option.name);
    }
}

#[test]
fn the_readme_has_the_table() {
    let readme = include_str!("../README.md");
    let reference = larder_server::config::reference();
    assert!(readme.contains(&reference), "README.md, Settings: should be\n{reference}");
}
