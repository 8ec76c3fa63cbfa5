//! 200,000 entries through the C ABI of an archive that is linked into a Rust program, which has a
//! standard library of its own: for platforms of which there is no C compiler here, but Rust's
//! linker. scripts/emulated.sh builds and runs it.

use std::ffi::c_void;

#[link(name = "larder", kind = "static")]
unsafe extern "C" {
    fn larder_new(options: *const u64, out: *mut *mut c_void) -> i32;
    fn larder_set(
        cache: *mut c_void,
        key: *const u8,
        len: usize,
        value: *const u8,
        value_len: usize,
    ) -> i32;
    fn larder_len(cache: *mut c_void, len: *mut u64) -> i32;
    fn larder_free(cache: *mut c_void);
}

fn main() {
    // struct_size and max_bytes; all else is zero, which is the default.
    let mut options = [0u64; 64];
    options[0] = env!("OPTIONS_SIZE").parse().expect("bytes of larder_options");
    options[1] = 64 << 20;
    let (mut cache, mut len) = (std::ptr::null_mut(), 0);
    // SAFETY: as larder.h has it.
    unsafe {
        assert_eq!(larder_new(options.as_ptr(), &raw mut cache), 0);
        for i in 0..200_000u64 {
            let key = i.to_le_bytes();
            assert_eq!(larder_set(cache, key.as_ptr(), 8, key.as_ptr(), 8), 0);
        }
        assert_eq!(larder_len(cache, &raw mut len), 0);
        larder_free(cache);
    }
    assert_eq!(len, 200_000);
    println!("{len} entries");
}
