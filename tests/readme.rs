//! What README.md shows of Rust is this, line by line.

#[test]
fn readme() -> Result<(), larder::Error> {
    let cache = larder::Cache::new(larder::Options::new(64 << 20))?;
    cache.set(b"soup", b"tomato")?;
    let mut value = Vec::new();
    assert!(cache.get_into(b"soup", &mut value));
    assert_eq!(value, b"tomato");
    Ok::<(), larder::Error>(())
}

#[test]
fn is_what_readme_shows() {
    let shown: Vec<&str> = include_str!("../README.md")
        .lines()
        .skip_while(|line| *line != "```rust")
        .skip(1)
        .take_while(|line| *line != "```")
        .map(|line| line.trim_start_matches("# ").trim_end_matches(';'))
        .collect();
    assert!(shown.len() > 4, "README has no Rust");
    let tested: Vec<&str> = include_str!("readme.rs")
        .lines()
        .skip_while(|line| !line.contains("fn readme"))
        .skip(1)
        .map(|line| line.trim().trim_end_matches(';'))
        .take(shown.len())
        .collect();
    assert_eq!(shown, tested);
}
