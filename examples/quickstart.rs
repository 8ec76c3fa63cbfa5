//! The smallest useful program: `cargo run --example quickstart`.

use std::time::Duration;

use larder::{Cache, Options};

fn main() -> Result<(), larder::Error> {
    // 64 MiB for everything: keys, values, index, bookkeeping.
    let cache = Cache::new(Options::new(64 << 20))?;

    cache.set(b"soup", b"tomato")?;
    cache.set_ttl(b"bread", b"rye, warm", Duration::from_secs(60))?;

    if let Some(soup) = cache.get(b"soup") {
        println!("soup: {}", String::from_utf8_lossy(&soup));
    }

    // A buffer that is used again and again: no allocation for each get.
    let mut buffer = Vec::new();
    if cache.get_into(b"bread", &mut buffer) {
        println!("bread: {} bytes", buffer.len());
    }

    cache.delete(b"soup");
    assert_eq!(cache.get(b"soup"), None);

    let stats = cache.stats()?;
    println!(
        "{} hits, {} misses, {} of {} bytes",
        stats.hits, stats.misses, stats.bytes, stats.max_bytes
    );
    Ok(())
}
