//! What handles print. Nobody wants values, which may be secret, in a log.

use larder::{Cache, Lookup, Options};

#[test]
fn handles_print_sizes_and_no_values() {
    let cache = Cache::new(Options::new(1 << 20)).unwrap();
    cache.set(b"key", b"secret").unwrap();
    let text = format!("{cache:?}");
    assert!(text.starts_with("Cache { max_bytes: 1048576, bytes: "), "{text}");
    let view = cache.view(b"key").unwrap().unwrap();
    assert_eq!(format!("{view:?}"), "View { len: 6, .. }");
    let Ok(Lookup::Guard(guard)) = cache.get_or_guard(b"absent", None) else {
        panic!("there is none")
    };
    assert!(format!("{guard:?}").starts_with("LoadGuard { key: "));
    drop(guard);
    cache.close();
    assert_eq!(format!("{cache:?}"), "Cache { closed: true, .. }");
}
