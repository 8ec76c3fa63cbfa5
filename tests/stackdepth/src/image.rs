//! A built library as one flat address space: code, data, symbols, and where each relocated pointer
//! leads.
//!
//! An archive of relocatable objects has no addresses yet, so every section is laid out at an
//! address of our own and relocations between sections are kept as facts ("the four bytes at A
//! refer to symbol S"). A shared library has its addresses; there only its dynamic relocations
//! (global offset table, procedure linkage table) are read.

use std::collections::{BTreeMap, HashMap, HashSet};

use object::read::archive::ArchiveFile;
use object::{
    Object, ObjectKind, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionIndex, SectionKind, SymbolIndex, elf,
};

/// Where a reference leads: an address inside the image, or a name that the image does not define.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dest {
    Inside(u64),
    External(String),
}

/// How an instruction's (or a table's) bytes refer to their destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The bytes hold the destination, absolute or relative to the place.
    Direct,
    /// A call or jump that the linker may send through a lazily bound stub.
    Plt,
    /// The bytes name a slot of the global offset table that holds the destination.
    Got,
    /// Part of the sequence that finds a thread-local.
    Tls,
}

/// A reference in an object that is not linked yet.
#[derive(Clone, Debug)]
pub struct Reloc {
    pub how: How,
    pub dest: Dest,
    pub addend: i64,
}

/// A function symbol.
#[derive(Clone, Debug)]
pub struct Func {
    pub name: String,
    pub addr: u64,
    pub size: u64,
}

impl Func {
    /// The name as it stands in the source, without the hash.
    pub fn pretty_name(&self) -> String {
        pretty(&self.name)
    }
}

/// A symbol as it stands in the source, without the hash.
pub fn pretty(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

struct Region {
    start: u64,
    name: String,
    data: Vec<u8>,
    code: bool,
    /// Holds still after loading: pointers read from here are constants.
    constant: bool,
}

/// The whole library.
pub struct Image {
    regions: Vec<Region>,
    relocs: HashMap<u64, Reloc>,
    /// Pointer-sized slots filled by the loader (shared library) or the linker (object), and what
    /// they will hold.
    slots: HashMap<u64, Dest>,
    /// Slots that the loader fills on first use, on the stack of whoever comes first.
    lazy: HashSet<u64>,
    /// By address; of several names for one address the largest extent stays.
    funcs: BTreeMap<u64, Func>,
    /// Functions that others can link to, by name.
    exports: BTreeMap<String, u64>,
}

type Error = Box<dyn std::error::Error>;

impl Image {
    /// Reads a static archive, a relocatable object or a shared library for x86-64 ELF.
    pub fn parse(bytes: &[u8]) -> Result<Image, Error> {
        let mut image = Image {
            regions: Vec::new(),
            relocs: HashMap::new(),
            slots: HashMap::new(),
            lazy: HashSet::new(),
            funcs: BTreeMap::new(),
            exports: BTreeMap::new(),
        };
        if bytes.starts_with(b"!<arch>\n") {
            let archive = ArchiveFile::parse(bytes)?;
            let mut members = Vec::new();
            for member in archive.members() {
                let data = member?.data(bytes)?;
                // Rust puts a metadata member beside the objects in some archives: not ELF, no
                // code.
                if data.starts_with(b"\x7fELF") {
                    members.push(object::File::parse(data)?);
                }
            }
            image.load_objects(&members)?;
        } else {
            let file = object::File::parse(bytes)?;
            match file.kind() {
                ObjectKind::Relocatable => image.load_objects(&[file])?,
                ObjectKind::Dynamic | ObjectKind::Executable => image.load_linked(&file)?,
                other => return Err(format!("not a library: {other:?}").into()),
            }
        }
        Ok(image)
    }

    fn load_objects(&mut self, files: &[object::File<'_>]) -> Result<(), Error> {
        // Pass 1: an address for every section, then for every global symbol.
        let mut next = 0x1_0000u64;
        let mut bases: Vec<HashMap<SectionIndex, u64>> = Vec::new();
        for file in files {
            check_architecture(file)?;
            let mut base = HashMap::new();
            for section in file.sections() {
                if !is_loaded(&section) {
                    continue;
                }
                base.insert(section.index(), next);
                let size = section.size();
                self.add_region(&section, next)?;
                // A gap, so that an address one past a section's end never falls into the next one.
                next = (next + size + 0x100) & !0x3f;
            }
            bases.push(base);
        }
        let mut globals: HashMap<String, u64> = HashMap::new();
        for (file, base) in files.iter().zip(&bases) {
            for symbol in file.symbols() {
                let Some(addr) = symbol_address(&symbol, base) else {
                    continue;
                };
                let name = symbol.name().unwrap_or_default();
                if symbol.kind() == object::SymbolKind::Text {
                    self.add_func(name, addr, symbol.size());
                }
                if !symbol.is_local() && !name.is_empty() {
                    if symbol.is_weak() {
                        globals.entry(name.into()).or_insert(addr);
                    } else {
                        globals.insert(name.into(), addr);
                    }
                    if symbol.kind() == object::SymbolKind::Text {
                        self.exports.insert(name.into(), addr);
                    }
                }
            }
        }
        // Pass 2: what every relocated place refers to.
        for (file, base) in files.iter().zip(&bases) {
            for section in file.sections() {
                let Some(&start) = base.get(&section.index()) else {
                    continue;
                };
                for (offset, reloc) in section.relocations() {
                    let RelocationFlags::Elf { r_type } = reloc.flags() else {
                        continue;
                    };
                    let RelocationTarget::Symbol(index) = reloc.target() else {
                        continue;
                    };
                    let dest = object_dest(file, index, base, &globals)?;
                    let how = match r_type {
                        elf::R_X86_64_PLT32 => How::Plt,
                        elf::R_X86_64_GOTPCREL
                        | elf::R_X86_64_GOTPCRELX
                        | elf::R_X86_64_REX_GOTPCRELX => How::Got,
                        elf::R_X86_64_TLSGD
                        | elf::R_X86_64_TLSLD
                        | elf::R_X86_64_DTPOFF32
                        | elf::R_X86_64_GOTTPOFF
                        | elf::R_X86_64_TPOFF32
                        | elf::R_X86_64_GOTPC32_TLSDESC
                        | elf::R_X86_64_TLSDESC_CALL => How::Tls,
                        _ => How::Direct,
                    };
                    if r_type == elf::R_X86_64_64 {
                        let slot = match &dest {
                            Dest::Inside(a) => Dest::Inside(a.wrapping_add_signed(reloc.addend())),
                            external => external.clone(),
                        };
                        self.slots.insert(start + offset, slot);
                    }
                    self.relocs.insert(start + offset, Reloc { how, dest, addend: reloc.addend() });
                }
            }
        }
        Ok(())
    }

    fn load_linked(&mut self, file: &object::File<'_>) -> Result<(), Error> {
        check_architecture(file)?;
        for section in file.sections() {
            if is_loaded(&section) {
                self.add_region(&section, section.address())?;
            }
        }
        let bind_now = binds_now(file);
        for symbol in file.symbols().chain(file.dynamic_symbols()) {
            if symbol.kind() == object::SymbolKind::Text
                && symbol.is_definition()
                && symbol.address() != 0
            {
                self.add_func(symbol.name().unwrap_or_default(), symbol.address(), symbol.size());
            }
        }
        for symbol in file.dynamic_symbols() {
            if symbol.kind() == object::SymbolKind::Text && symbol.is_definition() {
                self.exports.insert(symbol.name().unwrap_or_default().into(), symbol.address());
            }
        }
        let dynamic = file.dynamic_symbol_table();
        for (addr, reloc) in file.dynamic_relocations().into_iter().flatten() {
            let RelocationFlags::Elf { r_type } = reloc.flags() else {
                continue;
            };
            let dest = match reloc.target() {
                RelocationTarget::Symbol(index) => {
                    use object::ObjectSymbolTable;
                    let Some(table) = &dynamic else { continue };
                    let symbol = table.symbol_by_index(index)?;
                    if symbol.is_definition() {
                        Dest::Inside(symbol.address())
                    } else {
                        Dest::External(symbol.name()?.to_owned())
                    }
                }
                _ => Dest::Inside(reloc.addend() as u64),
            };
            match r_type {
                elf::R_X86_64_GLOB_DAT
                | elf::R_X86_64_JUMP_SLOT
                | elf::R_X86_64_64
                | elf::R_X86_64_RELATIVE => {
                    if r_type == elf::R_X86_64_JUMP_SLOT && !bind_now {
                        self.lazy.insert(addr);
                    }
                    self.slots.insert(addr, dest);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_region<'d>(
        &mut self,
        section: &impl ObjectSection<'d>,
        start: u64,
    ) -> Result<(), Error> {
        let name = section.name().unwrap_or_default().to_owned();
        let constant = [".got", ".data.rel.ro", ".rodata"].iter().any(|p| name.starts_with(p));
        self.regions.push(Region {
            start,
            data: section.data()?.to_vec(),
            code: section.kind() == SectionKind::Text,
            constant,
            name,
        });
        Ok(())
    }

    fn add_func(&mut self, name: &str, addr: u64, size: u64) {
        let func = Func { name: name.to_owned(), addr, size };
        self.funcs
            .entry(addr)
            .and_modify(|f| {
                if size > f.size {
                    *f = func.clone();
                }
            })
            .or_insert(func);
    }

    fn region(&self, addr: u64) -> Option<&Region> {
        self.regions.iter().find(|r| addr >= r.start && addr - r.start < r.data.len() as u64)
    }

    /// The bytes from `addr` to the end of its section, if it is code.
    pub fn code_at(&self, addr: u64) -> Option<&[u8]> {
        let region = self.region(addr).filter(|r| r.code)?;
        Some(&region.data[(addr - region.start) as usize..])
    }

    /// A little-endian `i32` of constant data.
    pub fn i32_at(&self, addr: u64) -> Option<i32> {
        let region = self.region(addr)?;
        let at = (addr - region.start) as usize;
        Some(i32::from_le_bytes(region.data.get(at..at + 4)?.try_into().ok()?))
    }

    /// The reference in `addr..addr + len`, with its place, if there is one.
    pub fn reloc_in(&self, addr: u64, len: u64) -> Option<(u64, &Reloc)> {
        (addr..addr + len).find_map(|a| self.relocs.get(&a).map(|r| (a, r)))
    }

    /// What the pointer-sized constant at `addr` will hold when the program runs.
    pub fn slot(&self, addr: u64) -> Option<&Dest> {
        self.region(addr).filter(|r| r.constant)?;
        self.slots.get(&addr)
    }

    /// Whether the loader fills this slot on first use rather than at load time.
    pub fn is_lazy(&self, slot: u64) -> bool {
        self.lazy.contains(&slot)
    }

    /// The function whose extent contains `addr`. Stripped code becomes a nameless function up to
    /// its section's end.
    pub fn func_at(&self, addr: u64) -> Option<Func> {
        let region = self.region(addr).filter(|r| r.code)?;
        let end = region.start + region.data.len() as u64;
        if let Some((_, f)) = self.funcs.range(region.start..=addr).next_back() {
            let mut f = f.clone();
            if f.size == 0 {
                // Handwritten assembly may carry no size: it reaches to the next symbol.
                let next = self.funcs.range(f.addr + 1..end).next();
                f.size = next.map_or(end, |(&a, _)| a) - f.addr;
            }
            if addr < f.addr + f.size {
                return Some(f);
            }
        }
        Some(Func {
            name: format!("{}+{:#x}", region.name, addr - region.start),
            addr,
            size: end - addr,
        })
    }

    /// All code, as (address, bytes) of each section.
    pub fn code(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.regions.iter().filter(|r| r.code).map(|r| (r.start, r.data.as_slice()))
    }

    /// The linkable functions whose names begin with `prefix`.
    pub fn exports(&self, prefix: &str) -> Vec<Func> {
        let named = self.exports.iter().filter(|(name, _)| name.starts_with(prefix));
        named
            .filter_map(|(name, &addr)| {
                let mut func = self.func_at(addr)?;
                func.name.clone_from(name);
                Some(func)
            })
            .collect()
    }
}

fn check_architecture(file: &object::File<'_>) -> Result<(), Error> {
    match file.architecture() {
        object::Architecture::X86_64 => Ok(()),
        other => Err(format!("only x86-64 has a fast door; this is {other:?}").into()),
    }
}

fn is_loaded<'d>(section: &impl ObjectSection<'d>) -> bool {
    matches!(
        section.kind(),
        SectionKind::Text
            | SectionKind::Data
            | SectionKind::UninitializedData
            | SectionKind::ReadOnlyData
            | SectionKind::ReadOnlyDataWithRel
            | SectionKind::ReadOnlyString
            | SectionKind::Tls
            | SectionKind::UninitializedTls
    )
}

fn symbol_address<'d>(
    symbol: &impl ObjectSymbol<'d>,
    base: &HashMap<SectionIndex, u64>,
) -> Option<u64> {
    Some(base.get(&symbol.section_index()?)? + symbol.address())
}

fn object_dest(
    file: &object::File<'_>,
    index: SymbolIndex,
    base: &HashMap<SectionIndex, u64>,
    globals: &HashMap<String, u64>,
) -> Result<Dest, Error> {
    let symbol = file.symbol_by_index(index)?;
    if let Some(addr) = symbol_address(&symbol, base) {
        return Ok(Dest::Inside(addr));
    }
    let name = symbol.name().unwrap_or_default();
    Ok(match globals.get(name) {
        Some(&addr) => Dest::Inside(addr),
        None => Dest::External(name.to_owned()),
    })
}

/// Whether the loader resolves every symbol before any code of the library runs.
fn binds_now(file: &object::File<'_>) -> bool {
    let Some(section) = file.section_by_name(".dynamic") else {
        return true;
    };
    let Ok(data) = section.data() else {
        return true;
    };
    data.chunks_exact(16).any(|entry| {
        let tag = u64::from_le_bytes(entry[..8].try_into().unwrap());
        let value = u64::from_le_bytes(entry[8..].try_into().unwrap());
        (tag == u64::from(elf::DT_FLAGS) && value & u64::from(elf::DF_BIND_NOW) != 0)
            || (tag == u64::from(elf::DT_FLAGS_1) && value & u64::from(elf::DF_1_NOW) != 0)
            || tag == u64::from(elf::DT_BIND_NOW)
    })
}
