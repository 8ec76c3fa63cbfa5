//! HTTP and the admin pages, over a connection, as bytes.

use larder_server::config::Config;
use larder_server::shared::Shared;
use larder_server::store::Store;
use larder_server::tracking::Tracking;
use larder_server::{admin, http};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

struct Server {
    shared: Arc<Shared>,
}

/// An answer: its status, its head in lower case, its body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Server {
    fn new(change: impl FnOnce(&mut Config)) -> Server {
        let mut config = Config { maxmemory: 8 << 20, ..Config::default() };
        change(&mut config);
        let options = larder::Options::new(config.maxmemory);
        let store = Arc::new(Store::new(options, Tracking::new(1000)).unwrap());
        Server { shared: Arc::new(Shared::new(store, &config)) }
    }

    /// A connection; `admin`: to the admin port.
    fn connect(&self, admin: bool) -> DuplexStream {
        let (client, stream) = tokio::io::duplex(64 << 10);
        let shared = self.shared.clone();
        if admin {
            tokio::spawn(admin::serve(stream, shared));
        } else {
            tokio::spawn(http::serve(stream, shared));
        }
        client
    }

    /// What a connection of its own answers to one request.
    async fn ask(&self, request: &str, fields: &str, body: &[u8]) -> Answer {
        let mut client = self.connect(false);
        let length = if body.is_empty() && !request.starts_with('P') {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        let head =
            format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{length}{fields}\r\n");
        // A server that refuses doesn't read it all.
        let _ = client.write_all(head.as_bytes()).await;
        let _ = client.write_all(body).await;
        answer(&mut client).await
    }

    async fn admin(&self, request: &str, fields: &str) -> Answer {
        let mut client = self.connect(true);
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        answer(&mut client).await
    }
}

async fn answer(client: &mut DuplexStream) -> Answer {
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: all[end..].to_vec() }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.unwrap() });
}

#[test]
fn a_value_comes_back_with_its_type_its_time_and_its_tag() {
    run(async {
        let server = Server::new(|_| {});
        let fields = "content-type: application/json\r\ncache-control: max-age=60\r\n";
        let put = server.ask("PUT /cache/user:1/a%20b", fields, b"{\"a\":1}").await;
        assert_eq!(put.status, 201);
        let got = server.ask("GET /cache/user:1/a%20b", "", b"").await;
        assert_eq!((got.status, &got.body[..]), (200, &b"{\"a\":1}"[..]));
        assert_eq!(got.field("content-type"), Some("application/json"));
        assert_eq!(
            (got.field("etag"), got.field("content-length")),
            (put.field("etag"), Some("7"))
        );
        let left = got.field("cache-control").unwrap();
        assert!(left == "max-age=60" || left == "max-age=59", "{left}");
        assert!(got.field("cache-status").unwrap().starts_with("larder; hit; ttl="));
        let head = server.ask("HEAD /cache/user:1/a%20b", "", b"").await;
        assert_eq!(
            (head.status, head.body.len(), head.field("content-length")),
            (200, 0, Some("7"))
        );
        assert_eq!(head.field("etag"), put.field("etag"));
        // To the other protocols it is the value and no more.
        assert_eq!(server.shared.store.cache().get(b"user:1/a b").unwrap(), b"{\"a\":1}");
        assert_eq!(server.ask("DELETE /cache/user:1/a%20b", "", b"").await.status, 204);
        let gone = server.ask("GET /cache/user:1/a%20b", "", b"").await;
        assert_eq!(
            (gone.status, gone.field("content-type")),
            (404, Some("application/problem+json"))
        );
        assert_eq!(gone.json()["status"], 404);
        assert_eq!(server.ask("DELETE /cache/user:1/a%20b", "", b"").await.status, 404);
    });
}

#[test]
fn what_others_stored_has_no_type_and_no_end() {
    run(async {
        let server = Server::new(|_| {});
        server.shared.store.cache().set(b"k", b"plain").unwrap();
        let got = server.ask("GET /cache/k", "", b"").await;
        assert_eq!(got.field("content-type"), Some("application/octet-stream"));
        assert_eq!((got.field("cache-control"), &got.body[..]), (None, &b"plain"[..]));
    });
}

#[test]
fn conditions_make_puts_add_and_compare_and_swap() {
    run(async {
        let server = Server::new(|_| {});
        let add = "if-none-match: *\r\n";
        let first = server.ask("PUT /cache/k", add, b"1").await;
        assert_eq!(first.status, 201);
        assert_eq!(server.ask("PUT /cache/k", add, b"2").await.status, 412);
        let tag = first.field("etag").unwrap().to_owned();
        let swapped = server.ask("PUT /cache/k", &format!("if-match: {tag}\r\n"), b"3").await;
        assert_eq!(swapped.status, 204);
        let again = server.ask("PUT /cache/k", &format!("if-match: {tag}\r\n"), b"4").await;
        assert_eq!(again.status, 412);
        // What another protocol has stored since is another value, though nobody asked its version.
        let tag = swapped.field("etag").unwrap();
        server.shared.store.cache().set(b"k", b"5").unwrap();
        assert_eq!(
            server.ask("PUT /cache/k", &format!("if-match: {tag}\r\n"), b"6").await.status,
            412
        );
        assert_eq!(
            server.ask("DELETE /cache/k", &format!("if-match: {tag}\r\n"), b"").await.status,
            412
        );
        assert_eq!(server.ask("PUT /cache/none", "if-match: *\r\n", b"1").await.status, 412);
        let got = server.ask("GET /cache/k", "", b"").await;
        let tag = got.field("etag").unwrap();
        let known =
            server.ask("GET /cache/k", &format!("if-none-match: \"0\", {tag}\r\n"), b"").await;
        assert_eq!((known.status, known.body.len(), known.field("etag")), (304, 0, Some(tag)));
        assert_eq!(server.ask("GET /cache/k", "if-match: \"0\"\r\n", b"").await.status, 412);
        assert_eq!(server.ask("PUT /cache/k", "if-match: nonsense\r\n", b"1").await.status, 400);
    });
}

#[test]
fn times_are_what_cache_control_says() {
    run(async {
        let server = Server::new(|_| {});
        for fields in ["no-store", "private", "max-age=x", "max-age=-1"] {
            let refused =
                server.ask("PUT /cache/k", &format!("cache-control: {fields}\r\n"), b"1").await;
            assert_eq!(refused.status, 400, "{fields}");
        }
        let stale = "cache-control: max-age=0, stale-while-revalidate=60\r\n";
        assert_eq!(server.ask("PUT /cache/k", stale, b"1").await.status, 201);
        let got = server.ask("GET /cache/k", "", b"").await;
        assert!(got.field("cache-status").unwrap().ends_with("; detail=stale"), "{got:?}");
        assert_eq!(
            server.ask("PUT /cache/k", "cache-control: max-age=0\r\n", b"1").await.status,
            204
        );
        assert_eq!(server.ask("GET /cache/k", "", b"").await.status, 404);
    });
}

#[test]
fn large_values_are_sent_whole_and_too_large_ones_refused() {
    run(async {
        let server = Server::new(|_| {});
        for len in [0, 16_384, 16_385, 500_000] {
            let value: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            assert!(server.ask("PUT /cache/k", "", &value).await.status < 300);
            let got = server.ask("GET /cache/k", "", b"").await;
            assert!(got.body == value, "{len}");
            let tag = got.field("etag").unwrap();
            let swap = server.ask("PUT /cache/k", &format!("if-match: {tag}\r\n"), b"x").await;
            assert_eq!(swap.status, 204);
        }
        let refused = server.ask("PUT /cache/k", "", &vec![0; (2 << 20) + 1]).await;
        assert_eq!(refused.status, 413);
        // What is said of the length is judged before any of it comes.
        let mut client = server.connect(false);
        let head = "PUT /cache/k HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut client).await.status, 413);
        // And where nothing is said, as it comes.
        let mut client = server.connect(false);
        let head = "PUT /cache/k HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        let piece = [b"10000\r\n".to_vec(), vec![7; 0x10000], b"\r\n".to_vec()].concat();
        for _ in 0..40 {
            if client.write_all(&piece).await.is_err() {
                break;
            }
        }
        assert_eq!(answer(&mut client).await.status, 413);
        assert_eq!(server.ask("GET /cache/k", "", b"").await.body, b"x");
    });
}

#[test]
fn invalidation_is_by_tags_keys_prefix_or_all_and_hard_or_soft() {
    run(async {
        let server = Server::new(|_| {});
        let put = async |key: &str, tags: &str| {
            let fields = format!("surrogate-key: {tags}\r\n");
            assert!(server.ask(&format!("PUT /cache/{key}"), &fields, b"1").await.status < 300);
        };
        let post = async |order: &str| server.ask("POST /invalidate", "", order.as_bytes()).await;
        let state = async |key: &str| {
            let got = server.ask(&format!("GET /cache/{key}"), "", b"").await;
            match (got.status, got.field("cache-status")) {
                (200, Some(status)) if status.contains("stale") => "stale",
                (200, _) => "fresh",
                _ => "gone",
            }
        };
        for (key, tags) in [("a:1", "red blue"), ("a:2", "red"), ("b:1", "green"), ("b:2", "")] {
            put(key, tags).await;
        }
        assert_eq!(post("{\"tags\": [\"blue\"]}").await.status, 200);
        assert_eq!((state("a:1").await, state("a:2").await), ("gone", "fresh"));
        post("{\"tags\": [\"red\"], \"mode\": \"soft\"}").await;
        assert_eq!((state("a:2").await, state("b:1").await), ("stale", "fresh"));
        let told = post("{\"keys\": [\"b:1\", \"none\"], \"mode\": \"soft\"}").await;
        assert_eq!((told.json()["entries"].as_u64(), state("b:1").await), (Some(1), "stale"));
        let told = post("{\"prefix\": \"b:\"}").await;
        assert_eq!(told.json()["entries"], 2);
        assert_eq!((state("b:1").await, state("a:2").await), ("gone", "stale"));
        put("c", "").await;
        post("{\"all\": true, \"mode\": \"soft\"}").await;
        assert_eq!(state("c").await, "stale");
        post("{\"all\": true}").await;
        assert_eq!(state("c").await, "gone");
        for order in [
            "",
            "[]",
            "{}",
            "{\"tag\": [\"a\"]}",
            "{\"tags\": \"a\"}",
            "{\"tags\": [\"\"]}",
            "{\"all\": 1}",
            "{\"prefix\": \"\"}",
            "{\"all\": true, \"mode\": \"x\"}",
        ] {
            assert_eq!(post(order).await.status, 400, "{order}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(post(&deep).await.status, 400);
    });
}

#[test]
fn what_is_not_there_is_told() {
    run(async {
        let server = Server::new(|_| {});
        for (request, status) in [
            ("GET /", 404),
            ("GET /cache", 404),
            ("GET /cache/", 400),
            ("GET /cache/%zz", 400),
            ("POST /cache/k", 405),
            ("GET /invalidate", 405),
            ("DELETE /stats", 405),
            ("PATCH /openapi.json", 405),
        ] {
            let got = server.ask(request, "", b"").await;
            assert_eq!(got.status, status, "{request}");
            assert_eq!(got.field("content-type"), Some("application/problem+json"), "{request}");
        }
        let many = format!("surrogate-key: {}\r\n", "t ".repeat(65));
        assert_eq!(server.ask("PUT /cache/k", &many, b"1").await.status, 400);
        let long = format!("content-type: {}\r\n", "t".repeat(256));
        assert_eq!(server.ask("PUT /cache/k", &long, b"1").await.status, 400);
    });
}

#[test]
fn the_description_names_every_path() {
    run(async {
        let server = Server::new(|_| {});
        let told = server.ask("GET /openapi.json", "", b"").await.json();
        let paths: Vec<_> = told["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(paths, ["/cache/{key}", "/invalidate", "/openapi.json", "/stats"]);
        assert_eq!(server.ask("GET /stats", "", b"").await.json()["cache"]["entries"], 0);
    });
}

#[test]
fn a_password_is_shown_as_a_token() {
    run(async {
        let server = Server::new(|config| config.requirepass = Some("secret".into()));
        for (fields, status) in [
            ("", 401),
            ("authorization: Bearer wrong\r\n", 401),
            ("authorization: Bearer secret\r\n", 404),
            ("authorization: bearer  secret \r\n", 404),
            ("authorization: Basic OnNlY3JldA==\r\n", 404),
            ("authorization: Basic !!!\r\n", 401),
            ("authorization: secret\r\n", 401),
        ] {
            assert_eq!(server.ask("GET /cache/k", fields, b"").await.status, status, "{fields}");
        }
        assert_eq!(server.admin("GET /metrics", "").await.status, 401);
        assert_eq!(
            server.admin("GET /metrics", "authorization: Bearer secret\r\n").await.status,
            200
        );
        assert_eq!(server.admin("GET /healthz", "").await.status, 200);
    });
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    run(async {
        let server = Server::new(|_| {});
        let mut client = server.connect(false);
        let requests = "PUT /cache/k HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab\
                        GET /cache/k HTTP/1.1\r\nhost: x\r\n\r\n\
                        GET /cache/none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        for byte in requests.bytes() {
            client.write_all(&[byte]).await.unwrap();
        }
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        let statuses: Vec<_> = all.matches("HTTP/1.1 ").count().to_string().chars().collect();
        assert_eq!((statuses, all.contains("\r\n\r\nab")), (vec!['3'], true));
    });
}

#[test]
fn metrics_are_in_the_format_of_prometheus() {
    run(async {
        let server = Server::new(|_| {});
        server.ask("PUT /cache/k", "", b"1").await;
        server.ask("GET /cache/k", "", b"").await;
        server.ask("GET /cache/none", "", b"").await;
        let got = server.admin("GET /metrics", "").await;
        assert_eq!(got.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = String::from_utf8(got.body).unwrap();
        for line in [
            "larder_hits_total 1",
            "larder_misses_total 1",
            "larder_entries 1",
            "larder_max_bytes 8388608",
            "larder_commands_total{protocol=\"http\",command=\"get\"} 2",
            "larder_commands_total{protocol=\"memcached\",command=\"mg\"} 0",
            "larder_command_duration_seconds_count{protocol=\"http\"} 3",
            "larder_connections_total{protocol=\"http\"} 3",
            "larder_commands_total{protocol=\"resp\",command=\"all\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
        // Each name is announced once, before its samples.
        let mut announced = std::collections::HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(announced.insert(rest.split(' ').next().unwrap().to_owned()), "{line}");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let base =
                    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                assert!(
                    announced.contains(name) || announced.contains(base.unwrap_or("")),
                    "{line}"
                );
            }
        }
    });
}

#[test]
fn the_admin_port_has_health_a_page_and_nothing_else() {
    run(async {
        let server = Server::new(|_| {});
        assert_eq!(server.admin("GET /readyz", "").await.status, 200);
        let page = server.admin("GET /", "").await;
        assert!(page.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
        let text = String::from_utf8(page.body).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src="));
        assert_eq!(server.admin("GET /stats", "").await.json()["cache"]["entries"], 0);
        assert_eq!(server.admin("GET /none", "").await.status, 404);
        assert_eq!(server.admin("POST /", "").await.status, 405);
    });
}

#[test]
fn a_stop_answers_what_was_asked_and_ends() {
    run(async {
        let server = Server::new(|_| {});
        let mut idle = server.connect(false);
        idle.write_all(b"GET /cache/none HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        let mut busy = server.connect(false);
        busy.write_all(b"PUT /cache/k HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na")
            .await
            .unwrap();
        while server.shared.http.count_of("put") == 0 {
            tokio::task::yield_now().await;
        }
        server.shared.stop();
        // An idle connection ends, the other one when it has its answer.
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        busy.write_all(b"b").await.unwrap();
        assert_eq!(answer(&mut busy).await.status, 201);
        let mut after = server.connect(true);
        drop(after.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await);
        assert!(!server.shared.is_ready());
        while server.shared.http.connections().0 > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_silent_client_is_cut() {
    run(async {
        let server = Server::new(|config| config.timeout = Duration::from_millis(200));
        for head in ["", "GET /cache/k HT", "GET /cache/k HTTP/1.1\r\nhost: x\r\n\r\n"] {
            let mut client = server.connect(false);
            client.write_all(head.as_bytes()).await.unwrap();
            let mut all = String::new();
            client.read_to_string(&mut all).await.unwrap();
            assert_eq!(all.contains(" 404 "), head.ends_with("\r\n\r\n"), "{head:?}: {all}");
        }
        while server.shared.http.connections().0 > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_head_has_an_end() {
    run(async {
        let server = Server::new(|_| {});
        for long in [format!("x: {}\r\n", "y".repeat(200_000)), "x: y\r\n".repeat(1000)] {
            let got = server.ask("GET /cache/k", &long, b"").await;
            assert_eq!(got.status, 431);
        }
        let mut client = server.connect(false);
        client.write_all(b"nonsense\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut client).await.status, 400);
    });
}
