//! The frame that the assembly of the fast door declares.

use std::collections::HashMap;
use std::path::Path;

/// What the door itself needs between its frame and the function: a return address, and up to 15 bytes to align.
pub const OVERHEAD: u64 = 8 + 15;

/// The declared frame must be at least this many times the depth found.
pub const MARGIN: u64 = 4;

/// The smallest frame of the assembly functions under `directory` that call C, in bytes.
///
/// Go's assembler writes it as `TEXT ·name(SB), flags, $frame-arguments`, and lets Go's own prologue make room for it
/// unless the flags say NOSPLIT: then nobody makes room, and that is an error here.
pub fn declared_frame(directory: &Path) -> Result<u64, String> {
    let mut smallest: Option<u64> = None;
    let entries = std::fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with("_amd64.s") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        for (function, frame) in frames(&text).map_err(|e| format!("{name}: {e}"))? {
            if smallest.is_none_or(|s| frame < s) {
                smallest = Some(frame);
            }
            eprintln!("{name}: {function} declares a frame of {frame} bytes");
        }
    }
    smallest.ok_or_else(|| format!("no assembly function that calls C found in {}", directory.display()))
}

/// The functions of one assembly file that call through a register, with their frames.
fn frames(text: &str) -> Result<Vec<(String, u64)>, String> {
    let mut defines: HashMap<String, String> = HashMap::new();
    let mut found = Vec::new();
    let mut current: Option<(String, Result<u64, String>)> = None;
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default().trim();
        let mut words = code.split_whitespace();
        match words.next() {
            Some("#define") => {
                if let (Some(name), Some(value)) = (words.next(), words.next()) {
                    defines.insert(name.into(), value.into());
                }
            }
            Some("TEXT") => {
                let parts: Vec<&str> = code["TEXT".len()..].split(',').map(str::trim).collect();
                let name = parts[0].to_owned();
                let frame = frame_of(&parts, &defines).map_err(|e| format!("{name}: {e}"));
                current = Some((name, frame));
            }
            Some("CALL") => {
                // A call of Go code names a symbol; C is called through a register.
                if let Some((name, frame)) = &current
                    && !code.contains("(SB)")
                {
                    found.push((name.clone(), frame.clone()?));
                }
            }
            _ => {}
        }
    }
    found.dedup();
    Ok(found)
}

fn frame_of(parts: &[&str], defines: &HashMap<String, String>) -> Result<u64, String> {
    let size = parts.last().and_then(|p| p.strip_prefix('$')).ok_or("no frame size")?;
    let size = size.rsplit_once('-').map_or(size, |(frame, _)| frame);
    let size = defines.get(size).map_or(size, String::as_str);
    if parts.len() > 2 && parts[1].contains("NOSPLIT") {
        return Err("NOSPLIT: nothing makes room for the frame".into());
    }
    size.parse().map_err(|_| format!("can't read the frame size {size:?}"))
}

#[cfg(test)]
mod tests {
    use super::frames;

    #[test]
    fn reads_the_frame_of_functions_that_call_c() {
        let text = "#include \"textflag.h\"\n#define FRAME 8192\n// TEXT in a comment, $1-1\n\
                    TEXT ·call(SB), 0, $FRAME-24\n\tMOVQ fn+0(FP), AX\n\tCALL AX // into Rust\n\tRET\n\
                    TEXT ·other(SB), NOSPLIT, $0-8\n\tRET\n\
                    TEXT ·second(SB), 0, $4096-24\n\tCALL R12\n\tRET\n";
        assert_eq!(frames(text).unwrap(), [("·call(SB)".into(), 8192), ("·second(SB)".into(), 4096)]);
    }

    #[test]
    fn refuses_a_door_without_a_prologue() {
        let text = "TEXT ·call(SB), NOSPLIT, $8192-24\n\tCALL AX\n\tRET\n";
        assert!(frames(text).unwrap_err().contains("NOSPLIT"));
    }
}
