//! The C headers: declarations by cbindgen from src/ffi, in the order of the templates beside this
//! file.
//!
//! A template is a header in which a line `@name ...` stands for declarations, comments included,
//! and `@since version` says which version the functions and structs below came with. Each
//! declaration has to be placed exactly once, in one of the templates: a new function can't be
//! forgotten, and a removed one can't stay.
//!
//! They are written to `LARDER_HEADER_DIR`, which the Makefile sets; without it to Cargo's OUT_DIR,
//! never into the sources of somebody who depends on the crate.

#[path = "../src/ffi/layout_of.rs"]
mod layout_of;

use layout_of::layout_of;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The headers, by name; the template of each is `build/<name>.in`.
const HEADERS: [&str; 2] = ["larder.h", "larder_go.h"];

/// How cbindgen asks for C23.
const C23: &str = "__STDC_VERSION__ >= 202311L";

/// Columns of a comment.
const WIDTH: usize = 100;

/// Writes the headers that have changed.
pub fn write() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-env-changed=LARDER_HEADER_DIR");
    for input in ["src/ffi", "cbindgen.toml", "build"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let target = PathBuf::from(
        env::var_os("LARDER_HEADER_DIR").or(env::var_os("OUT_DIR")).expect("cargo sets it"),
    );
    let mut items = declarations(&root);
    let mut headers = Vec::new();
    for name in HEADERS {
        // One that was edited by hand is written again.
        println!("cargo:rerun-if-changed={}", target.join(name).display());
        let template = fs::read_to_string(root.join(format!("build/{name}.in")))
            .expect("a template of each header");
        headers.push(fill(&template, &mut items));
    }
    assert!(items.is_empty(), "in no template of build/: {:?}", items.keys());
    let layout = layout_of(&headers.iter().map(|it| it.as_bytes()).collect::<Vec<_>>());
    for (name, header) in HEADERS.iter().zip(headers) {
        let header = header.replace("{LAYOUT}", &format!("0x{layout:016x}ULL"));
        let path = target.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(&header) {
            fs::write(&path, header).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// What cbindgen makes of src/ffi, by name.
fn declarations(root: &Path) -> BTreeMap<String, String> {
    let mut sources: Vec<_> = fs::read_dir(root.join("src/ffi"))
        .expect("src/ffi")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    sources.sort();
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in
        sources.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
    {
        builder = builder.with_src(source);
    }
    let mut text = Vec::new();
    builder.generate().expect("src/ffi is what cbindgen understands").write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    // Declarations lie between empty lines; comments have none.
    text.split("\n\n").filter_map(|item| Some((name(item)?, item.trim().to_owned()))).collect()
}

/// The name that a declaration declares.
fn name(item: &str) -> Option<String> {
    let code = item.lines().find(|line| !line.starts_with("//") && !line.trim().is_empty())?;
    let word = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
    };
    for keyword in ["#define ", "enum ", "typedef struct "] {
        if let Some(rest) = code.strip_prefix(keyword) {
            return word(rest);
        }
    }
    let (before, _) = code.split_once('(')?;
    before.rsplit([' ', '*']).next().and_then(word)
}

/// A template with its declarations, which are taken out of `items`.
fn fill(template: &str, items: &mut BTreeMap<String, String>) -> String {
    let mut header = String::new();
    let mut since = String::new();
    for line in template.lines() {
        if let Some(version) = line.strip_prefix("@since ") {
            since = version.to_owned();
        } else if let Some(names) = line.strip_prefix('@') {
            for name in names.split_whitespace() {
                let item = items
                    .remove(name)
                    .unwrap_or_else(|| panic!("{name} is not declared, or placed twice"));
                header.push_str(&plain_c(&item, &since));
            }
        } else {
            header.push_str(&numbered(line));
            header.push('\n');
        }
    }
    header
}

/// A line of a template with the version's numbers.
fn numbered(line: &str) -> String {
    let part = |name: &str| env::var(format!("CARGO_PKG_VERSION{name}")).expect("cargo sets it");
    line.replace("{VERSION}", &part(""))
        .replace("{MAJOR}", &part("_MAJOR"))
        .replace("{MINOR}", &part("_MINOR"))
        .replace("{PATCH}", &part("_PATCH"))
}

/// A declaration in C that a compiler of 1990 takes, but for the types: comments in `/* */`, no
/// comma behind the last enumerator, nothing for Rust programmers.
fn plain_c(item: &str, since: &str) -> String {
    let lines: Vec<&str> = item.lines().collect();
    let (comment, code) =
        lines.split_at(lines.iter().take_while(|line| line.starts_with("//")).count());
    let mut said: Vec<&str> =
        comment.iter().copied().take_while(|line| line.trim() != "// # Safety").collect();
    while said.last().is_some_and(|line| line.trim() == "//") {
        said.pop();
    }
    let version = format!("// Since {since}.");
    if !since.is_empty() && !code[0].starts_with("#define") {
        said.extend(["//", &version]);
    }
    let mut plain = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in said.into_iter().chain(code.iter().copied()) {
        if line.trim_start().starts_with("//") {
            comment.push(line);
            continue;
        }
        plain.push_str(&block_comment(&comment));
        comment.clear();
        // Behind a directive is nothing but the repetition of a condition.
        let code = line.split(" // ").next().unwrap_or_default();
        // C89 has no number.
        plain.push_str(&code.replace(C23, &format!("(defined(__STDC_VERSION__) && {C23})")));
        plain.push('\n');
    }
    plain.replace(",\n}", "\n}")
}

/// Lines of a `//` comment as one `/* */`, its paragraphs filled.
fn block_comment(lines: &[&str]) -> String {
    let Some(first) = lines.first() else { return String::new() };
    let indent = &first[..first.len() - first.trim_start().len()];
    let text: Vec<&str> =
        lines.iter().map(|line| line.trim_start().trim_start_matches('/').trim()).collect();
    let mut comment = format!("{indent}/*");
    let mut column = comment.len();
    for (i, paragraph) in text.split(|line| line.is_empty()).enumerate() {
        if i > 0 {
            comment.push_str(&format!("\n{indent} *\n{indent} *"));
            column = indent.len() + 2;
        }
        for word in paragraph.iter().flat_map(|line| line.split_whitespace()) {
            // The end of the comment must fit behind the last word.
            if column + 1 + word.len() + 3 > WIDTH {
                comment.push_str(&format!("\n{indent} *"));
                column = indent.len() + 2;
            }
            comment.push(' ');
            comment.push_str(word);
            column += 1 + word.len();
        }
    }
    comment + " */\n"
}
