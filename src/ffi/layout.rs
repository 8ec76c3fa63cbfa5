//! What the library that is linked was built from, for the Go package: it may lie beside headers of
//! another day, which would take the structs for others than they are.

use super::layout_of::layout_of;

const LAYOUT: u64 = layout_of(&[
    include_bytes!("../../include/larder.h"),
    include_bytes!("../../include/larder_go.h"),
]);

/// For Go: LARDER_LAYOUT of the headers that the library was built with. It changes with any of
/// their declarations.
#[unsafe(no_mangle)]
pub extern "C" fn larder_layout() -> u64 {
    LAYOUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_tell_the_layout_and_comments_are_no_part_of_it() {
        let header = include_str!("../../include/larder_go.h");
        assert!(header.contains(&format!("#define LARDER_LAYOUT 0x{:016x}ULL\n", larder_layout())));
        let layout = |text: &str| layout_of(&[text.as_bytes()]);
        let plain = layout("struct a { int b; };");
        assert_eq!(plain, layout("/* an a */\n#define LARDER_LAYOUT 7\nstruct a {\n  int b; };\n"));
        assert_ne!(plain, layout("struct a { long b; };"));
        assert_ne!(plain, layout("struct a { int b; int c; };"));
    }
}
