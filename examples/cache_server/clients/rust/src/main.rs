//! redis-rs and fred as they come: the calls of a cache.

use fred::prelude::{Builder, ClientLike, Config, Expiration, KeysInterface, SetOptions};
use fred::types::config::Server;
use redis::Commands;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let port = args[3].parse().expect("a port");
    match args[1].as_str() {
        "redis" => redis_rs(&args[2], port).expect("redis-rs"),
        "fred" => tokio::runtime::Runtime::new()
            .expect("a runtime")
            .block_on(fred_client(&args[2], port))
            .expect("fred"),
        other => panic!("no client {other}"),
    }
}

fn redis_rs(host: &str, port: u16) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://{host}:{port}"))?;
    let mut c = client.get_connection()?;
    let () = redis::cmd("FLUSHDB").query(&mut c)?;
    let () = c.set_ex("key", b"\0value\r\n", 100)?;
    assert_eq!(c.get::<_, Vec<u8>>("key")?, b"\0value\r\n");
    let ttl: i64 = c.ttl("key")?;
    assert!((1..=100).contains(&ttl));
    assert!(!c.set_nx::<_, _, bool>("key", "other")?);
    let () = c.mset(&[("a", 1), ("b", 2)])?;
    let many: Vec<Option<i64>> = c.mget(&["a", "missing", "b"])?;
    assert_eq!(many, [Some(1), None, Some(2)]);
    assert_eq!(c.incr::<_, _, i64>("a", 41)?, 42);
    let (first, second): (i64, String) = redis::pipe()
        .atomic()
        .incr("a", 1)
        .get("b")
        .query(&mut c)?;
    assert_eq!((first, second.as_str()), (43, "2"));
    let mut pipe = redis::pipe();
    for i in 0..1000 {
        pipe.set(format!("scan:{i}"), i).ignore();
    }
    let () = pipe.query(&mut c)?;
    let seen: std::collections::HashSet<String> = c
        .scan_match::<_, String>("scan:*")?
        .collect::<Result<_, _>>()?;
    assert_eq!(seen.len(), 1000);
    assert!(c.lpush::<_, _, i64>("a", "x").is_err());
    assert_eq!(c.del::<_, i64>(&["a", "key", "missing"])?, 2);
    Ok(())
}

async fn fred_client(host: &str, port: u16) -> Result<(), fred::error::Error> {
    let config = Config {
        server: fred::types::config::ServerConfig::Centralized {
            server: Server::new(host, port),
        },
        ..Config::default()
    };
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    let () = client.set("key", "value", Some(Expiration::EX(100)), None, false).await?;
    assert_eq!(client.get::<String, _>("key").await?, "value");
    let refused: Option<String> =
        client.set("key", "other", None, Some(SetOptions::NX), false).await?;
    assert_eq!(refused, None);
    let () = client.set("n", 1, None, None, false).await?;
    assert_eq!(client.incr_by::<i64, _>("n", 41).await?, 42);
    let pipeline = client.pipeline();
    let () = pipeline.get("key").await?;
    let () = pipeline.incr("n").await?;
    let replies: (String, i64) = pipeline.all().await?;
    assert_eq!(replies, ("value".into(), 43));
    assert_eq!(client.del::<i64, _>(vec!["key", "n", "missing"]).await?, 2);
    client.quit().await
}
