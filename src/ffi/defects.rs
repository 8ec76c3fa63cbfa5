//! A defect, on request: that every way into the library closes the cache alike when one is caught.

use super::{LarderCache, LarderCall, LarderMany, Status, into_handle};
use super::{
    batch::*, cache::*, conditional::*, events::*, go::*, loads::*, namespaces::*, tags::*,
};
use crate::{Cache, Options};
use std::cell::Cell;
use std::ptr::{null, null_mut};
use std::sync::Arc;

thread_local! {
    static STRIKES: Cell<bool> = const { Cell::new(false) };
}

/// Called in every [`boundary`](super::boundary): panics once, if it is to.
pub fn strike() {
    assert!(!STRIKES.take(), "a defect, for a test");
}

type Entry = (&'static str, unsafe fn(*mut LarderCache) -> usize);

fn call(cache: *mut LarderCache, f: unsafe extern "C" fn(*mut LarderCall) -> usize) -> usize {
    let mut call = LarderCall {
        cache,
        key: null(),
        key_len: 0,
        buf: null_mut(),
        buf_len: 0,
        out_len: 0,
        ttl_ms: 0,
        flags: 0,
        options: null(),
        state: 0,
    };
    // SAFETY: a valid struct, whose lengths are 0.
    unsafe { f(&raw mut call) }
}

fn many(cache: *mut LarderCache, f: unsafe extern "C" fn(*mut LarderMany) -> Status) -> usize {
    // SAFETY: made of integers and pointers, for which zeros are valid.
    let mut many = LarderMany { cache, ..unsafe { std::mem::zeroed() } };
    // SAFETY: a valid struct, of no keys.
    unsafe { f(&raw mut many) as usize }
}

/// Ways in that take a cache, with as little as they can be called with.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all alike: a valid handle, and NULL with a length of 0"
)]
const ENTRIES: &[Entry] = &[
    ("close", |c| unsafe { larder_close(c) as usize }),
    ("get", |c| unsafe { larder_get(c, null(), 0, null_mut(), 0, null_mut()) as usize }),
    ("set", |c| unsafe { larder_set(c, null(), 0, null(), 0) as usize }),
    ("set_ttl", |c| unsafe { larder_set_ttl(c, null(), 0, null(), 0, 1) as usize }),
    ("delete", |c| unsafe { larder_delete(c, null(), 0) as usize }),
    ("clear", |c| unsafe { larder_clear(c) as usize }),
    ("resize", |c| unsafe { larder_resize(c, 1 << 20) as usize }),
    ("len", |c| unsafe { larder_len(c, null_mut()) as usize }),
    ("stats", |c| unsafe { larder_stats(c, null_mut()) as usize }),
    ("iterate", |c| unsafe { larder_iterate(c, null_mut(), null_mut(), 0, null_mut()) as usize }),
    ("view", |c| unsafe { larder_view(c, null(), 0, null_mut()) as usize }),
    ("events", |c| unsafe {
        larder_events(c, null_mut(), null_mut(), 0, null_mut(), null_mut()) as usize
    }),
    ("call_get", |c| call(c, larder_call_get)),
    ("call_set", |c| call(c, larder_call_set)),
    ("call_delete", |c| call(c, larder_call_delete)),
    ("get_many", |c| many(c, larder_get_many)),
    ("set_many", |c| many(c, larder_set_many)),
    ("delete_many", |c| many(c, larder_delete_many)),
    ("set_with", |c| unsafe { larder_set_with(c, null(), 0, null(), 0, null()) as usize }),
    ("get_with", |c| unsafe {
        larder_get_with(c, null(), 0, null_mut(), 0, null_mut(), 0, null_mut()) as usize
    }),
    ("add", |c| unsafe { larder_add(c, null(), 0, null(), 0, null()) as usize }),
    ("compare_and_swap", |c| unsafe {
        larder_compare_and_swap(c, null(), 0, null(), 0, 0, null(), null_mut()) as usize
    }),
    ("touch", |c| unsafe { larder_touch(c, null(), 0, 1) as usize }),
    ("increment", |c| unsafe { larder_increment(c, null(), 0, 1, null(), null_mut()) as usize }),
    ("mark_stale", |c| unsafe { larder_mark_stale(c, null(), 0) as usize }),
    ("load_begin", |c| unsafe { larder_load_begin(c, null(), 0, null_mut()) as usize }),
    ("load_end", |c| unsafe { larder_load_end(c, null(), 0, 0, null(), 0, null()) as usize }),
    ("load_cancel", |c| unsafe { larder_load_cancel(c, null(), 0, 0) as usize }),
    ("invalidate_tag", |c| unsafe { larder_invalidate_tag(c, null(), 0, false) as usize }),
    ("stamp", |c| unsafe { larder_stamp(c, null_mut()) as usize }),
    ("namespace", |c| unsafe { larder_namespace(c, null(), 0, null(), null_mut()) as usize }),
    ("namespace_next", |c| unsafe {
        larder_namespace_next(c, null(), 0, null_mut(), 0, null_mut(), null_mut()) as usize
    }),
];

#[test]
fn a_defect_that_is_caught_closes_the_cache_whichever_way_it_was_entered() {
    for (name, enter) in ENTRIES {
        let cache = into_handle(Arc::new(Cache::new(Options::new(1 << 20)).unwrap()));
        // SAFETY: a handle that is freed at the end.
        unsafe {
            assert_eq!(
                larder_set(cache, b"key".as_ptr(), 3, b"value".as_ptr(), 5),
                Status::LARDER_OK
            );
            STRIKES.set(true);
            assert_eq!(enter(cache), Status::LARDER_PANIC as usize, "{name}");
            assert!(!STRIKES.get(), "{name} was entered");
            let got = larder_get(cache, b"key".as_ptr(), 3, null_mut(), 0, null_mut());
            assert_eq!(got, Status::LARDER_CLOSED, "after {name}");
            larder_free(cache);
        }
    }
}

/// One that is added passes its cache on, and is added to the list: all but those that have none.
#[test]
fn only_who_has_no_cache_enters_without_one() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let without: usize = std::fs::read_dir(sources)
        .unwrap()
        .map(|file| {
            std::fs::read_to_string(file.unwrap().path())
                .unwrap()
                .matches(concat!("boundary(", "None"))
                .count()
        })
        .sum();
    assert_eq!(without, 3, "larder_new, larder_free and larder_view_release");
}
