//! `ar OUT OBJECT SYMBOLS`: writes a static library of one ELF object, with the index that linkers look symbols up in.
//!
//! The system's ar makes no index of another processor's objects. Nothing in what this writes says when, where or by
//! whom it was written: the same object gives the same bytes. SYMBOLS is a file with a name on each line.

use std::{env, fs};

/// A member's header: name, date, owner, group, mode, size; each at its place in 60 bytes.
fn header(name: &str, size: usize) -> String {
    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644)
}

/// Members begin at even offsets.
fn append(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    archive.extend(header(name, content.len()).as_bytes());
    archive.extend(content);
    if content.len() % 2 == 1 {
        archive.push(b'\n');
    }
}

/// How many symbols, the offset of the member that defines each, and their names; numbers are big-endian.
fn index(symbols: &[&str], member: u32) -> Vec<u8> {
    let mut index = (symbols.len() as u32).to_be_bytes().to_vec();
    symbols.iter().for_each(|_| index.extend(member.to_be_bytes()));
    for symbol in symbols {
        index.extend(symbol.as_bytes());
        index.push(0);
    }
    index
}

fn main() {
    let [out, object, symbols]: [String; 3] =
        env::args().skip(1).collect::<Vec<_>>().try_into().expect("ar OUT OBJECT SYMBOLS");
    let object = fs::read(object).expect("OBJECT");
    let symbols = fs::read_to_string(symbols).expect("SYMBOLS");
    let symbols: Vec<&str> = symbols.lines().collect();

    const MAGIC: &[u8] = b"!<arch>\n";
    let len = index(&symbols, 0).len();
    let member = MAGIC.len() + header("/", 0).len() + len.next_multiple_of(2);
    let mut archive = MAGIC.to_vec();
    append(&mut archive, "/", &index(&symbols, member as u32));
    append(&mut archive, "larder.o/", &object);
    fs::write(out, archive).expect("OUT");
}
