//! Checks the floors of src/: `make layers`.
//!
//! * Between folders, imports go downwards only, in the order of [`FLOORS`].
//! * Between files there is no circle: of imports, and of calls where they can be seen (below).
//!
//! An import is a `use`, or a path that begins with `crate::`, `super::` or the name of a module. A
//! name that a module only passes on (`pub use`) counts as imported from where it is defined. Tests
//! (`#[cfg(test)]`) may import what they like.
//!
//! Methods of one type may lie in several files, and a call needs no import. So calls count too:
//! `self.f()` and `Self::f()` in an `impl`, `Type::f()`, and `name.f()` for the names in
//! [`RECEIVERS`], which always are of one type here; if that type has just one method of this name.
//! A call through a trait or a closure can't be seen.
//!
//! No dependency, and no project of its own: rustc compiles this file. It ends by planting an
//! upward import and a circle of calls, in memory, and fails if it doesn't see them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs, process};

/// The folders and files right below src/, from the ground up. Each may import from those before
/// it.
const FLOORS: [&str; 11] =
    ["sys", "error", "policy", "sync", "entry", "memory", "index", "stripe", "cache", "ffi", "lib"];

/// What things are called throughout, and their type.
const RECEIVERS: [(&str, &str); 12] = [
    ("cache", "Cache"),
    ("shared", "Shared"),
    ("env", "Env"),
    ("stripe", "Stripe"),
    ("state", "State"),
    ("core", "Core"),
    ("writer", "Writer"),
    ("index", "Index"),
    ("space", "Quota"),
    ("geometry", "Geometry"),
    ("pool", "Pool"),
    ("family", "Family"),
];

/// A source file: its path below src/, and its text without comments, strings and tests.
struct File {
    path: String,
    module: Vec<String>,
    text: String,
}

/// One file needs another, and where that shows.
type Arrows = BTreeMap<(usize, usize), String>;

fn main() {
    let root = env::args().nth(1).unwrap_or_else(|| "src".into());
    let mut sources = Vec::new();
    read(Path::new(&root), "", &mut sources);
    let tests: Vec<String> = sources.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    sources.retain(|(path, _)| !tests.contains(path));
    assert!(sources.len() > 10, "{root}: no sources");
    let faults = check(&sources);
    faults.iter().for_each(|fault| println!("{fault}"));
    if !faults.is_empty() {
        process::exit(1);
    }
    if let Err(missed) = prove(&sources) {
        println!("layers: the check is blind: {missed}");
        process::exit(1);
    }
    let (rooms, arrows) = count(&sources);
    println!("layers: {} files, {rooms} folders, {arrows} imports between folders, none upwards, no circle", sources.len());
}

fn read(folder: &Path, prefix: &str, sources: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_string();
        if path.is_dir() {
            read(&path, &format!("{prefix}{name}/"), sources);
        } else if name.ends_with(".rs") {
            sources.push((format!("{prefix}{name}"), fs::read_to_string(&path).expect("a text")));
        }
    }
}

/// Files that a module has for its tests only: `#[cfg(test)] mod name;`.
fn test_files(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let marked = text.split("#[cfg(test)]").skip(1).filter_map(|rest| rest.trim_start().strip_prefix("mod "));
    marked.filter_map(|rest| rest.split_once(';')).map(|(name, _)| format!("{folder}{name}.rs")).collect()
}

/// What is wrong, in words.
fn check(sources: &[(String, String)]) -> Vec<String> {
    let files: Vec<File> = sources.iter().map(|(path, text)| File::new(path, text)).collect();
    let imports = imports(&files);
    let mut faults = Vec::new();
    for (&(from, to), why) in &imports {
        let (low, high) = (floor(&files[from].path), floor(&files[to].path));
        match (low, high) {
            (Some(low), Some(high)) if high > low => {
                faults.push(format!("upward: {} imports {} ({why})", files[from].path, files[to].path));
            }
            (None, _) => faults.push(format!("{}: its folder has no floor in scripts/layers.rs", files[from].path)),
            _ => {}
        }
    }
    let mut arrows = imports;
    for (arrow, why) in calls(&files) {
        let (from, to) = arrow;
        if let (Some(low), Some(high)) = (floor(&files[from].path), floor(&files[to].path))
            && high > low
        {
            faults.push(format!("upward: {} calls {} ({why})", files[from].path, files[to].path));
        }
        arrows.entry(arrow).or_insert(why);
    }
    if !faults.is_empty() {
        return faults; // an import upwards makes circles, whose lists would hide it
    }
    for circle in circles(files.len(), &arrows) {
        faults.push(format!("circle of {} files:", circle.len()));
        for (&(from, to), why) in &arrows {
            if circle.contains(&from) && circle.contains(&to) {
                faults.push(format!("    {} -> {} ({why})", files[from].path, files[to].path));
            }
        }
    }
    faults
}

/// Sees to it that the check still sees what it is for.
fn prove(sources: &[(String, String)]) -> Result<(), String> {
    let with = |path: &str, more: &str| {
        let mut changed = sources.to_vec();
        let file = changed.iter_mut().find(|(name, _)| name == path).ok_or_else(|| format!("there is no {path}"))?;
        file.1.push_str(more);
        Ok::<_, String>(check(&changed))
    };
    let planted = [
        ("sync/epoch.rs", "use crate::cache::Cache;\n", "upward: sync/epoch.rs imports cache/"),
        ("stripe/append.rs", "fn planted() { crate::stripe::set::x(); }\n", "circle"),
        ("stripe/append.rs", "impl Writer<'_, true> { fn planted(&mut self) { self.drain_one(); } }\n", "circle"),
    ];
    for (path, more, expected) in planted {
        if !with(path, more)?.iter().any(|fault| fault.starts_with(expected)) {
            return Err(format!("planted in {path}, and not seen: {more}"));
        }
    }
    Ok(())
}

fn count(sources: &[(String, String)]) -> (usize, usize) {
    let files: Vec<File> = sources.iter().map(|(path, text)| File::new(path, text)).collect();
    let room = |i: usize| floor(&files[i].path);
    let between: BTreeSet<_> =
        imports(&files).keys().map(|&(a, b)| (room(a), room(b))).filter(|(a, b)| a != b).collect();
    let folders: BTreeSet<_> = files.iter().filter_map(|file| file.path.split_once('/').map(|(room, _)| room)).collect();
    (folders.len(), between.len())
}

fn floor(path: &str) -> Option<usize> {
    let room = path.split('/').next().expect("a path").trim_end_matches(".rs");
    FLOORS.iter().position(|floor| *floor == room)
}

impl File {
    fn new(path: &str, text: &str) -> File {
        let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(String::from).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        File { path: path.into(), module, text: without_tests(&without_words(text)) }
    }
}

/// A text without comments and strings.
fn without_words(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"//") {
            at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        } else if rest[0] == b'"' {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at += 1;
            out.push_str("\"\"");
        } else if rest[0] == b'\'' && rest.len() > 3 && (rest[2] == b'\'' || rest[1] == b'\\') {
            // A character, not a lifetime.
            at += 2 + rest[2..].iter().position(|&b| b == b'\'').unwrap_or(0) + 1;
        } else {
            out.push(rest[0] as char);
            at += 1;
        }
    }
    out
}

/// A text without what is marked `#[cfg(test)]`.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = match (item.find('{'), item.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|semicolon| open < semicolon) => block_end(item, open),
            (_, Some(semicolon)) => semicolon + 1,
            _ => item.len(),
        };
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// Behind the brace that closes the one at `open`.
fn block_end(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The paths of all `use` declarations, whole, and whether they are passed on:
/// `(path, name, public)`.
fn uses(text: &str) -> Vec<(Vec<String>, String, bool)> {
    let mut all = Vec::new();
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices("use ") {
        let before = text[..at].trim_end();
        let starts = before.is_empty() || before.ends_with([';', '}', '{', ']']) || before.ends_with("pub") || before.ends_with(')');
        if at > 0 && is_word(bytes[at - 1]) || !starts {
            continue;
        }
        let Some(end) = text[at..].find(';') else { continue };
        let public = before.ends_with("pub") || before.ends_with(')') && before.rfind("pub(").is_some_and(|p| before.len() - p < 16);
        expand(&text[at + 4..at + end], &[], &mut |path, name| all.push((path, name, public)));
    }
    all
}

fn expand(tree: &str, prefix: &[String], found: &mut impl FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let mut path = prefix.to_vec();
        path.extend(tree[..open].split("::").map(str::trim).filter(|part| !part.is_empty()).map(String::from));
        let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
        let (mut depth, mut start) = (0, 0);
        for (at, byte) in inner.bytes().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b',' if depth == 0 => {
                    expand(&inner[start..at], &path, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return expand_last(&inner[start..], &path, found);
    }
    expand_last(tree, prefix, found);
}

fn expand_last(tree: &str, prefix: &[String], found: &mut impl FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    if tree.is_empty() {
        return;
    }
    if tree.contains('{') {
        return expand(tree, prefix, found);
    }
    let (tree, name) = tree.split_once(" as ").map_or((tree, None), |(tree, name)| (tree, Some(name.trim().to_string())));
    let mut path = prefix.to_vec();
    path.extend(tree.split("::").map(|part| part.trim().to_string()));
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
    found(path, name);
}

/// Finds the file in which something is defined.
struct Resolver<'a> {
    modules: BTreeMap<&'a [String], usize>,
    passed_on: BTreeMap<(usize, String), Vec<String>>,
}

impl<'a> Resolver<'a> {
    fn new(files: &'a [File]) -> Resolver<'a> {
        let modules: BTreeMap<_, _> = files.iter().enumerate().map(|(i, file)| (&file.module[..], i)).collect();
        let mut passed_on = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            for (path, name, public) in uses(&file.text) {
                if public {
                    passed_on.insert((i, name), path);
                }
            }
        }
        Resolver { modules, passed_on }
    }

    fn resolve(&self, from: usize, module: &[String], path: &[String], depth: usize) -> Option<usize> {
        if depth > 8 {
            return None;
        }
        let mut at: Vec<String> = module.to_vec();
        let mut parts = path.iter();
        let mut first = true;
        let mut file = from;
        while let Some(part) = parts.next() {
            match part.as_str() {
                "crate" if first => at.clear(),
                "self" => {}
                "super" => {
                    at.pop();
                }
                _ => {
                    let mut below = at.clone();
                    below.push(part.clone());
                    if let Some(&found) = self.modules.get(&below[..]) {
                        at = below;
                        file = found;
                        first = false;
                        continue;
                    }
                    if first {
                        // Another crate's, or of this file.
                        return None;
                    }
                    if let Some(target) = self.passed_on.get(&(file, part.clone())) {
                        let mut target = target.clone();
                        target.extend(parts.cloned());
                        return self.resolve(file, &at, &target, depth + 1);
                    }
                    return Some(file);
                }
            }
            first = false;
            file = *self.modules.get(&at[..])?;
        }
        (!first).then_some(file)
    }
}

/// The paths in a text that begin with `crate::`, `super::` or `self::`, outside of `use`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            if at > 0 && (is_word(text.as_bytes()[at - 1]) || text[..at].ends_with("::") || text[..at].ends_with('(')
                && text[..at - 1].ends_with("pub"))
            {
                continue;
            }
            let end = text[at..].bytes().position(|b| !is_word(b) && b != b':').map_or(text.len(), |len| at + len);
            if text[end..].starts_with('{') {
                continue; // a group of a `use`, whose members are looked at one by one
            }
            let path: Vec<String> =
                text[at..end].split("::").filter(|part| !part.is_empty()).map(|part| part.trim_matches(':').into()).collect();
            all.push(path);
        }
    }
    all
}

fn imports(files: &[File]) -> Arrows {
    let resolver = Resolver::new(files);
    let mut arrows = Arrows::new();
    for (i, file) in files.iter().enumerate() {
        let used = uses(&file.text).into_iter().map(|(path, ..)| path);
        for path in used.chain(paths(&file.text)) {
            if let Some(to) = resolver.resolve(i, &file.module, &path, 0)
                && to != i
            {
                arrows.entry((i, to)).or_insert_with(|| path.join("::"));
            }
        }
    }
    arrows
}

/// The blocks of `impl Type` and `impl Trait for Type`: the type, and the text of each.
fn impls(text: &str) -> Vec<(String, &str)> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices("impl") {
        if at > 0 && is_word(text.as_bytes()[at - 1]) || text[at + 4..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let before = text[..at].trim_end();
        if !(before.is_empty() || before.ends_with(['}', ';', ']', '{']) || before.ends_with("unsafe")) {
            continue;
        }
        let Some(open) = text[at..].find('{').map(|open| at + open) else { continue };
        let head = &text[at + 4..open];
        // Behind the parameters, and behind `for`.
        let mut head = head.trim();
        if head.starts_with('<') {
            let mut depth = 0;
            let end = head.char_indices().find(|(_, c)| {
                depth += match c {
                    '<' => 1,
                    '>' => -1,
                    _ => 0,
                };
                depth == 0
            });
            head = head[end.map_or(0, |(end, _)| end + 1)..].trim();
        }
        let head = head.split(" for ").last().unwrap_or(head).trim();
        let name: String = head.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        all.push((name, &text[open..block_end(text, open)]));
    }
    all
}

/// The names of the functions that a block defines.
fn functions(block: &str) -> Vec<String> {
    let names = block.match_indices("fn ").filter(|(at, _)| *at == 0 || !is_word(block.as_bytes()[at - 1]));
    names.map(|(at, _)| block[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

/// The calls in a text: `receiver.name(`, `Type::name(`. The receiver is the last name before the
/// dot.
fn called(text: &str) -> Vec<(String, String)> {
    let bytes = text.as_bytes();
    let word_before = |end: usize| {
        let start = (0..end).rev().find(|&at| !is_word(bytes[at])).map_or(0, |at| at + 1);
        text[start..end].to_string()
    };
    let mut all = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        if byte != b'(' {
            continue;
        }
        let mut end = at;
        if end > 0 && bytes[end - 1] == b'>' {
            // `name::<T>(`
            let Some(open) = text[..end].rfind("::<") else { continue };
            end = open;
        }
        let name = word_before(end);
        let start = end - name.len();
        if name.is_empty() || start == 0 {
            continue;
        }
        if bytes[start - 1] == b'.' {
            let before = text[..start - 1].trim_end();
            all.push((word_before(before.len()), name));
        } else if text[..start].ends_with("::") {
            let before = &text[..start - 2];
            let before = if before.ends_with('>') { before.rfind("::<").map_or(before, |open| &before[..open]) } else { before };
            all.push((word_before(before.len()), name));
        }
    }
    all
}

fn calls(files: &[File]) -> Arrows {
    // Where each method of each type is.
    let mut homes: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        for (kind, block) in impls(&file.text) {
            for name in functions(block) {
                homes.entry((kind.clone(), name)).or_default().insert(i);
            }
        }
    }
    let mut arrows = Arrows::new();
    let mut arrow = |from: usize, kind: &str, name: &str| {
        if let Some(home) = homes.get(&(kind.to_string(), name.to_string()))
            && home.len() == 1
            && let Some(&to) = home.first()
            && to != from
        {
            arrows.entry((from, to)).or_insert_with(|| format!("{kind}::{name}"));
        }
    };
    for (i, file) in files.iter().enumerate() {
        for (kind, block) in impls(&file.text) {
            for (receiver, name) in called(block) {
                if receiver == "self" || receiver == "Self" {
                    arrow(i, &kind, &name);
                }
            }
        }
        for (receiver, name) in called(&file.text) {
            let kind = RECEIVERS.iter().find(|(known, _)| *known == receiver).map_or(receiver.as_str(), |(_, kind)| kind);
            if kind.starts_with(char::is_uppercase) && kind != "Self" {
                arrow(i, kind, &name);
            }
        }
    }
    arrows
}

/// Sets of files that all reach each other (Tarjan 1972, by two searches as Kosaraju has it).
fn circles(count: usize, arrows: &Arrows) -> Vec<BTreeSet<usize>> {
    let (mut out, mut back) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for &(from, to) in arrows.keys() {
        out[from].push(to);
        back[to].push(from);
    }
    let mut order = Vec::new();
    let mut seen = vec![false; count];
    (0..count).for_each(|i| visit(i, &out, &mut seen, &mut order));
    let mut seen = vec![false; count];
    let mut all = Vec::new();
    for &i in order.iter().rev() {
        let mut group = Vec::new();
        visit(i, &back, &mut seen, &mut group);
        if group.len() > 1 {
            all.push(group.into_iter().collect());
        }
    }
    all
}

fn visit(i: usize, next: &[Vec<usize>], seen: &mut [bool], order: &mut Vec<usize>) {
    if !std::mem::replace(&mut seen[i], true) {
        next[i].iter().for_each(|&to| visit(to, next, seen, order));
        order.push(i);
    }
}
