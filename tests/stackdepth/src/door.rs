//! The room that the assembly of the fast door makes sure of.

use std::collections::HashMap;
use std::path::Path;

/// What the door itself needs between its frame and the function: a return address, and up to 15
/// bytes to align.
pub const OVERHEAD: u64 = 8 + 15;

/// The depth that room for so many bytes allows: a fifth stays free.
pub fn limit(room: u64) -> u64 {
    room / 5 * 4
}

/// The least room that the assembly functions under `directory` which call C make sure of, in
/// bytes.
///
/// Go's assembler writes a frame as `TEXT ·name(SB), flags, $frame-arguments`, and lets Go's own
/// prologue make room for it unless the flags say NOSPLIT. A function may also look for itself: by
/// `LEAQ -room(SP), R` and `CMPQ R, 0(CX)`, the end of the stack, and a jump away if that is above.
/// What it asks for so comes on top of the frame. One that does neither is an error here: nobody
/// makes room.
pub fn declared_frame(directory: &Path) -> Result<u64, String> {
    let mut smallest: Option<u64> = None;
    let entries =
        std::fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with("_amd64.s") {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        for (function, frame) in frames(&text).map_err(|e| format!("{name}: {e}"))? {
            if smallest.is_none_or(|s| frame < s) {
                smallest = Some(frame);
            }
            eprintln!("{name}: {function} makes sure of {frame} bytes");
        }
    }
    smallest.ok_or_else(|| {
        format!("no assembly function that calls C found in {}", directory.display())
    })
}

/// A function of an assembly file, as far as it has been read.
struct Function {
    name: String,
    frame: u64,
    nosplit: bool,
    /// Bytes below the stack pointer whose address was taken, and compared, and whether there was a
    /// jump then.
    below: Option<u64>,
    compared: bool,
    looked: bool,
}

impl Function {
    fn begin(code: &str, defines: &HashMap<String, String>) -> Result<Function, String> {
        let parts: Vec<&str> = code["TEXT".len()..].split(',').map(str::trim).collect();
        let name = parts[0].to_owned();
        let frame = frame_of(&parts, defines).map_err(|e| format!("{name}: {e}"))?;
        let nosplit = parts.len() > 2 && parts[1].contains("NOSPLIT");
        Ok(Function { name, frame, nosplit, below: None, compared: false, looked: false })
    }

    /// Follows a look at the end of the stack.
    fn step(&mut self, code: &str) {
        if let Some(below) = code.strip_prefix("LEAQ -").and_then(|rest| rest.split_once("(SP)")) {
            (self.below, self.compared) = (below.0.parse().ok(), false);
        } else if code.starts_with("CMPQ") && code.ends_with("0(CX)") {
            self.compared = self.below.is_some();
        } else if code.starts_with("JCS") {
            self.looked |= self.compared;
        }
    }

    /// What is sure at a call.
    fn room(&self) -> Result<u64, String> {
        match (self.looked, self.nosplit) {
            (true, _) => Ok(self.frame + self.below.unwrap_or(0)),
            (false, false) => Ok(self.frame),
            (false, true) => {
                Err(format!("{}: NOSPLIT, and doesn't look: nothing makes room", self.name))
            }
        }
    }
}

/// The functions of one assembly file that call through a register, with their room.
fn frames(text: &str) -> Result<Vec<(String, u64)>, String> {
    let mut defines: HashMap<String, String> = HashMap::new();
    let mut found = Vec::new();
    let mut current: Option<Result<Function, String>> = None;
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default().trim();
        let mut words = code.split_whitespace();
        match words.next() {
            Some("#define") => {
                if let (Some(name), Some(value)) = (words.next(), words.next()) {
                    defines.insert(name.into(), value.into());
                }
            }
            Some("TEXT") => current = Some(Function::begin(code, &defines)),
            // A call of Go code names a symbol; C is called through a register.
            Some("CALL") if !code.contains("(SB)") => match &current {
                Some(Ok(function)) => found.push((function.name.clone(), function.room()?)),
                Some(Err(error)) => return Err(error.clone()),
                None => {}
            },
            _ => {
                if let Some(Ok(function)) = &mut current {
                    function.step(code);
                }
            }
        }
    }
    found.dedup();
    Ok(found)
}

fn frame_of(parts: &[&str], defines: &HashMap<String, String>) -> Result<u64, String> {
    let size = parts.last().and_then(|p| p.strip_prefix('$')).ok_or("no frame size")?;
    let size = size.rsplit_once('-').map_or(size, |(frame, _)| frame);
    let size = defines.get(size).map_or(size, String::as_str);
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
        assert_eq!(
            frames(text).unwrap(),
            [("·call(SB)".into(), 8192), ("·second(SB)".into(), 4096)]
        );
    }

    #[test]
    fn counts_the_room_that_a_function_looks_for() {
        let text = "TEXT ·call(SB), NOSPLIT, $0-24\n\tMOVQ (TLS), CX\n\tLEAQ -2560(SP), DX // room\n\tCMPQ DX, 0(CX)\n\
                    \tJCS full\n\tCALL AX\n\tRET\nfull:\n\tRET\n\
                    TEXT ·deep(SB), 0, $1000-24\n\tLEAQ -60(SP), DX\n\tCMPQ DX, 0(CX)\n\tJCS full\n\tCALL AX\n";
        assert_eq!(frames(text).unwrap(), [("·call(SB)".into(), 2560), ("·deep(SB)".into(), 1060)]);
    }

    #[test]
    fn refuses_a_door_that_makes_no_room() {
        for look in [
            "",
            "\tLEAQ -2560(SP), DX\n",
            "\tLEAQ -2560(SP), DX\n\tCMPQ DX, 0(CX)\n",
            "\tJCS full\n",
        ] {
            let text = format!("TEXT ·call(SB), NOSPLIT, $8192-24\n{look}\tCALL AX\n\tRET\n");
            assert!(frames(&text).unwrap_err().contains("NOSPLIT"));
        }
    }
}
