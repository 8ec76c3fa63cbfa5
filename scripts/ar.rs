//! `ar OUT OBJECT SYMBOLS`: writes a static library of one object, ELF or Mach-O, with the index that linkers look
//! symbols up in.
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

/// As [`index`], of macOS's linker: pairs of the name's place among the names and the member's offset, and the lengths
/// of both parts in bytes before them; in the processor's order. The member behind it begins at a multiple of 8.
fn mach_o_index(symbols: &[&str], member: u32) -> Vec<u8> {
    let mut names = Vec::new();
    let mut index = (symbols.len() as u32 * 8).to_le_bytes().to_vec();
    for symbol in symbols {
        index.extend((names.len() as u32).to_le_bytes());
        index.extend(member.to_le_bytes());
        names.extend(symbol.as_bytes());
        names.push(0);
    }
    names.resize(names.len().next_multiple_of(8), 0);
    index.extend((names.len() as u32).to_le_bytes());
    index.extend(names);
    index
}

fn main() {
    let [out, object, symbols]: [String; 3] =
        env::args().skip(1).collect::<Vec<_>>().try_into().expect("ar OUT OBJECT SYMBOLS");
    let object = fs::read(object).expect("OBJECT");
    let symbols = fs::read_to_string(symbols).expect("SYMBOLS");
    let symbols: Vec<&str> = symbols.lines().collect();

    let mach_o = object.starts_with(&[0xcf, 0xfa, 0xed, 0xfe]);
    // macOS's names stand before the content, and count as a part of it.
    let names = if mach_o { ["#1/12"; 2] } else { ["/", "larder.o/"] };
    let before = |name: &str, content: Vec<u8>| {
        if mach_o { [format!("{name:\0<12}").into_bytes(), content].concat() } else { content }
    };
    let index = if mach_o { mach_o_index } else { index };

    const MAGIC: &[u8] = b"!<arch>\n";
    let len = before("", index(&symbols, 0)).len();
    let member = MAGIC.len() + header("", 0).len() + len.next_multiple_of(2);
    let mut archive = MAGIC.to_vec();
    append(&mut archive, names[0], &before("__.SYMDEF", index(&symbols, member as u32)));
    append(&mut archive, names[1], &before("larder.o", object));
    fs::write(out, archive).expect("OUT");
}
