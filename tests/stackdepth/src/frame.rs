//! One function: how far below its entry it reaches, and what it calls from which depth.
//!
//! Every path through the function is followed with an abstract state: what is known of each
//! register (an offset from the stack pointer at entry, a constant address, or nothing). Where two
//! paths meet, only what both know is kept. The stack pointer must be known everywhere, and be the
//! same on every path to an instruction; whatever this cannot follow is reported as a problem,
//! never guessed.
//!
//! Code that only the unwinder enters (landing pads) is not visited: no path of calls and jumps
//! leads there.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Formatter, Instruction, InstructionInfoFactory,
    IntelFormatter, MemorySize, Mnemonic, OpAccess, OpKind, Register,
};

use crate::allow;
use crate::image::{self, Dest, Func, How, Image};

/// A call, or a jump that leaves the function for good.
#[derive(Clone, Debug)]
pub struct Call {
    /// Address of the instruction.
    pub at: u64,
    /// Bytes between the function's entry and the callee's: 0 for a tail jump from a frame already
    /// taken down.
    pub depth: u64,
    pub dest: Dest,
}

/// What stands in the way of a proof.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Address of the instruction, and its text.
    pub at: u64,
    pub instruction: String,
    pub what: String,
}

/// The result for one function.
#[derive(Debug, Default)]
pub struct Frame {
    /// The farthest byte below the stack pointer at entry (after the return address) that the
    /// function itself uses.
    pub own: u64,
    pub calls: Vec<Call>,
    pub problems: Vec<Problem>,
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Val {
    Unknown,
    /// The stack pointer at entry plus this.
    Stack(i64),
    /// A constant address.
    Addr(Dest),
    /// An entry read from the jump table at this address, and the code address computed from one.
    TableEntry(u64),
    TableTarget(u64),
}

#[derive(Clone, PartialEq, Eq)]
struct State {
    regs: [Val; 16],
    /// Constants that the compiler parked in the frame, by offset from the stack pointer at entry.
    spilled: BTreeMap<i64, Val>,
}

impl State {
    fn at_entry() -> State {
        let mut regs = [const { Val::Unknown }; 16];
        regs[index(Register::RSP).unwrap()] = Val::Stack(0);
        State { regs, spilled: BTreeMap::new() }
    }

    fn get(&self, register: Register) -> Val {
        index(register).map_or(Val::Unknown, |i| self.regs[i].clone())
    }

    fn set(&mut self, register: Register, val: Val) {
        if let Some(i) = index(register) {
            self.regs[i] = val;
        }
    }

    fn stack(&self) -> Option<i64> {
        match self.get(Register::RSP) {
            Val::Stack(offset) => Some(offset),
            _ => None,
        }
    }

    /// Keeps what both know. Returns whether anything was lost.
    fn meet(&mut self, other: &State) -> bool {
        let before = self.clone();
        for (mine, theirs) in self.regs.iter_mut().zip(&other.regs) {
            if mine != theirs {
                *mine = Val::Unknown;
            }
        }
        self.spilled.retain(|offset, val| other.spilled.get(offset) == Some(val));
        *self != before
    }
}

/// The number of a 64-bit general register.
fn index(register: Register) -> Option<usize> {
    register.is_gpr64().then(|| register.number())
}

const CALLER_SAVED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// Every address that some code of the image takes relative to itself: where a jump table may
/// begin, so that the one before it ends there.
pub fn taken_addresses(image: &Image) -> BTreeSet<u64> {
    let mut taken = BTreeSet::new();
    for (start, bytes) in image.code() {
        for instruction in Decoder::with_ip(64, bytes, start, DecoderOptions::NONE).iter() {
            if instruction.mnemonic() == Mnemonic::Lea
                && instruction.is_ip_rel_memory_operand()
                && let Dest::Inside(addr) = ip_relative(image, &instruction).0
            {
                taken.insert(addr);
            }
        }
    }
    taken
}

/// The address that an instruction-pointer-relative operand names, and how it names it.
fn ip_relative(image: &Image, i: &Instruction) -> (Dest, How) {
    match image.reloc_in(i.ip(), i.len() as u64) {
        None => (Dest::Inside(i.ip_rel_memory_address()), How::Direct),
        Some((place, r)) => (shift(&r.dest, r.addend + (i.next_ip() - place) as i64), r.how),
    }
}

fn shift(dest: &Dest, by: i64) -> Dest {
    match dest {
        Dest::Inside(addr) => Dest::Inside(addr.wrapping_add_signed(by)),
        external => external.clone(),
    }
}

/// Analyses the function that begins at `func.addr`.
pub fn analyse(image: &Image, taken: &BTreeSet<u64>, func: &Func) -> Frame {
    Walk { image, taken, func, info: InstructionInfoFactory::new(), frame: Frame::default() }.run()
}

struct Walk<'a> {
    image: &'a Image,
    taken: &'a BTreeSet<u64>,
    func: &'a Func,
    info: InstructionInfoFactory,
    frame: Frame,
}

/// Where control goes after an instruction, inside the function.
enum Next {
    Stop,
    Fall,
    To(Vec<u64>),
    FallOrTo(u64),
}

impl Walk<'_> {
    fn run(mut self) -> Frame {
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        let mut work = vec![(self.func.addr, State::at_entry())];
        while let Some((addr, state)) = work.pop() {
            let state = match states.get_mut(&addr) {
                None => {
                    states.insert(addr, state.clone());
                    state
                }
                Some(seen) => {
                    if seen.stack() != state.stack() {
                        self.problem_at(
                            addr,
                            "the stack pointer differs between two paths to here, as in the probe loop of a frame of several pages",
                        );
                        continue;
                    }
                    if !seen.meet(&state) {
                        continue;
                    }
                    seen.clone()
                }
            };
            self.step(addr, state, &mut work);
        }
        // A place is visited again when less turns out to be known there; what it reports stays the
        // same.
        self.frame.problems.sort();
        self.frame.problems.dedup();
        self.frame
    }

    fn contains(&self, addr: u64) -> bool {
        addr >= self.func.addr && addr < self.func.addr + self.func.size
    }

    fn decode(&self, addr: u64) -> Option<Instruction> {
        let bytes = self.image.code_at(addr)?;
        let instruction = Decoder::with_ip(64, bytes, addr, DecoderOptions::NONE).decode();
        (!instruction.is_invalid()).then_some(instruction)
    }

    fn problem_at(&mut self, at: u64, what: &str) {
        let instruction = self.decode(at).map_or_else(
            || "?".into(),
            |i| {
                let mut text = String::new();
                IntelFormatter::new().format(&i, &mut text);
                text
            },
        );
        self.frame.problems.push(Problem { at, instruction, what: what.into() });
    }

    fn reach(&mut self, offset: i64) {
        self.frame.own = self.frame.own.max(u64::try_from(-offset).unwrap_or(0));
    }

    fn step(&mut self, addr: u64, mut state: State, work: &mut Vec<(u64, State)>) {
        let Some(i) = self.decode(addr) else {
            self.problem_at(addr, "not an instruction");
            return;
        };
        if let Some(offset) = self.accessed(&i, &state) {
            self.reach(offset);
        }
        let next = self.flow(&i, &mut state);
        if matches!(next, Next::Fall | Next::FallOrTo(_))
            && !matches!(i.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
        {
            self.execute(&i, &mut state);
            match state.stack() {
                Some(offset) => self.reach(offset),
                None => {
                    self.problem_at(
                        addr,
                        "sets the stack pointer in a way this check does not follow",
                    );
                    return;
                }
            }
        }
        let mut go = |target: u64, state: &State| work.push((target, state.clone()));
        match next {
            Next::Stop => {}
            Next::To(targets) => targets.into_iter().for_each(|t| go(t, &state)),
            Next::FallOrTo(target) => {
                go(target, &state);
                go(i.next_ip(), &state);
            }
            // Past the end: the call before it does not return.
            Next::Fall if !self.contains(i.next_ip()) => {}
            Next::Fall => go(i.next_ip(), &state),
        }
    }

    /// The lowest stack offset that a memory operand names. Functions without calls of their own
    /// may use bytes below the stack pointer (the red zone).
    fn accessed(&self, i: &Instruction, state: &State) -> Option<i64> {
        if i.mnemonic() == Mnemonic::Lea
            || !(0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory)
        {
            return None;
        }
        match state.get(i.memory_base()) {
            Val::Stack(offset) => Some(offset + i.memory_displacement64() as i64),
            _ => None,
        }
    }

    /// Decides where control goes, and records calls, tail jumps and what can't be followed.
    fn flow(&mut self, i: &Instruction, state: &mut State) -> Next {
        let here = i.ip();
        match i.flow_control() {
            FlowControl::Next => Next::Fall,
            FlowControl::Return => {
                if state.stack() != Some(0) {
                    self.problem_at(here, "returns with the stack pointer elsewhere than at entry");
                }
                Next::Stop
            }
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                let conditional = i.flow_control() == FlowControl::ConditionalBranch;
                match self.branch_target(i) {
                    Dest::Inside(target) if self.contains(target) => {
                        if conditional {
                            Next::FallOrTo(target)
                        } else {
                            Next::To(vec![target])
                        }
                    }
                    dest => {
                        self.tail_jump(here, state, dest);
                        if conditional { Next::Fall } else { Next::Stop }
                    }
                }
            }
            FlowControl::IndirectBranch => {
                match self.indirect_value(i, state) {
                    Val::TableTarget(table) => return Next::To(self.table_targets(table)),
                    Val::Addr(Dest::Inside(target)) if self.contains(target) => {
                        return Next::To(vec![target]);
                    }
                    Val::Addr(dest) => self.tail_jump(here, state, dest),
                    _ => self.problem_at(here, "indirect jump to an unknown place"),
                }
                Next::Stop
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                if i.mnemonic() == Mnemonic::Syscall || i.mnemonic() == Mnemonic::Sysenter {
                    self.problem_at(here, "system call");
                    return Next::Stop;
                }
                let dest = if i.flow_control() == FlowControl::Call {
                    Some(self.branch_target(i))
                } else {
                    match self.indirect_value(i, state) {
                        Val::Addr(dest) => Some(dest),
                        _ if self.is_tls_descriptor_call(i) => {
                            Some(Dest::External("__tls_get_addr".into()))
                        }
                        _ => None,
                    }
                };
                match dest {
                    Some(dest) => {
                        let returns = !self.diverges(&dest);
                        self.call(here, state, dest);
                        if !returns {
                            // What follows is another path's code, or a landing pad that only the
                            // unwinder enters.
                            return Next::Stop;
                        }
                    }
                    None => self.problem_at(here, "indirect call to an unknown function"),
                }
                for register in CALLER_SAVED {
                    state.set(register, Val::Unknown);
                }
                Next::Fall
            }
            FlowControl::Exception => Next::Stop,
            FlowControl::Interrupt if matches!(i.code(), Code::Int3) => Next::Stop,
            _ => {
                self.problem_at(here, "instruction that this check does not follow");
                Next::Stop
            }
        }
    }

    /// Whether a call there never comes back, as far as names tell. For any other such function the
    /// compiler puts a trap behind the call, or nothing, in which case more is followed than can
    /// happen.
    fn diverges(&self, dest: &Dest) -> bool {
        match dest {
            Dest::Inside(addr) => {
                self.image.func_at(*addr).is_some_and(|f| allow::is_panic_path(&f.pretty_name()))
            }
            Dest::External(name) => allow::is_panic_path(&image::pretty(name)),
        }
    }

    fn call(&mut self, at: u64, state: &State, dest: Dest) {
        // The return address lies below whatever the caller has pushed.
        let depth = 8 - state.stack().unwrap_or(0);
        self.reach(-depth);
        self.frame.calls.push(Call { at, depth: depth as u64, dest });
    }

    fn tail_jump(&mut self, at: u64, state: &State, dest: Dest) {
        match state.stack() {
            Some(0) => self.frame.calls.push(Call { at, depth: 0, dest }),
            _ => self.problem_at(at, "leaves the function by a jump with its frame still in place"),
        }
    }

    /// The destination of a direct call or jump.
    fn branch_target(&mut self, i: &Instruction) -> Dest {
        let Some((place, reloc)) = self.image.reloc_in(i.ip(), i.len() as u64) else {
            return Dest::Inside(i.near_branch_target());
        };
        let (how, dest) =
            (reloc.how, shift(&reloc.dest, reloc.addend + (i.next_ip() - place) as i64));
        if let (How::Plt, Dest::External(name)) = (how, &dest)
            // Part of a sequence that the linker rewrites as a whole in an executable.
            && name != "__tls_get_addr"
        {
            self.lazily_bound(i.ip(), name);
        }
        dest
    }

    fn lazily_bound(&mut self, at: u64, name: &str) {
        let what = format!(
            "{name} is bound on first use: the loader would run on this stack (build with calls through the global offset table, or link with -z now)"
        );
        self.problem_at(at, &what);
    }

    /// The value that an indirect call or jump goes to.
    fn indirect_value(&mut self, i: &Instruction, state: &State) -> Val {
        match i.op0_kind() {
            OpKind::Register => state.get(i.op0_register()),
            OpKind::Memory => {
                if i.is_ip_rel_memory_operand()
                    && let (Dest::Inside(slot), How::Direct) = ip_relative(self.image, i)
                    && self.image.is_lazy(slot)
                    && let Some(Dest::External(name)) = self.image.slot(slot)
                {
                    let name = name.clone();
                    self.lazily_bound(i.ip(), &name);
                }
                self.load(i, state)
            }
            _ => Val::Unknown,
        }
    }

    fn is_tls_descriptor_call(&self, i: &Instruction) -> bool {
        self.image.reloc_in(i.ip(), i.len() as u64).is_some_and(|(_, r)| r.how == How::Tls)
    }

    /// The code addresses of the jump table at `table`: offsets from the table itself, until one
    /// leads out of the function, off the instructions, or the next table begins.
    fn table_targets(&self, table: u64) -> Vec<u64> {
        let starts = self.instruction_starts();
        let mut targets = Vec::new();
        for entry in (0u64..).map(|n| table + 4 * n) {
            if entry != table && self.taken.contains(&entry) {
                break;
            }
            let target = match self.image.reloc_in(entry, 1) {
                Some((_, r)) => match &r.dest {
                    Dest::Inside(s) => s.wrapping_add_signed(r.addend).wrapping_sub(entry - table),
                    Dest::External(_) => break,
                },
                None => match self.image.i32_at(entry) {
                    Some(offset) => table.wrapping_add_signed(i64::from(offset)),
                    None => break,
                },
            };
            if !starts.contains(&target) {
                break;
            }
            targets.push(target);
        }
        targets
    }

    fn instruction_starts(&self) -> BTreeSet<u64> {
        let bytes = self.image.code_at(self.func.addr).unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(self.func.size as usize)];
        Decoder::with_ip(64, bytes, self.func.addr, DecoderOptions::NONE)
            .iter()
            .map(|i| i.ip())
            .collect()
    }

    /// What a 64-bit load from the instruction's memory operand yields.
    fn load(&self, i: &Instruction, state: &State) -> Val {
        if i.memory_size() == MemorySize::Int32 {
            // movsxd: an entry of a jump table?
            return match state.get(i.memory_base()) {
                Val::Addr(Dest::Inside(table))
                    if i.memory_index_scale() == 4 && i.memory_displacement64() == 0 =>
                {
                    Val::TableEntry(table)
                }
                _ => Val::Unknown,
            };
        }
        let constant =
            |addr: u64| self.image.slot(addr).map_or(Val::Unknown, |dest| Val::Addr(dest.clone()));
        if i.is_ip_rel_memory_operand() {
            return match ip_relative(self.image, i) {
                // The slot's content, whatever the addend says of the slot's own place.
                (_, How::Got) => {
                    let (_, r) =
                        self.image.reloc_in(i.ip(), i.len() as u64).expect("seen by ip_relative");
                    Val::Addr(r.dest.clone())
                }
                (Dest::Inside(addr), How::Direct) => constant(addr),
                _ => Val::Unknown,
            };
        }
        if i.memory_index() != Register::None {
            return Val::Unknown;
        }
        let displacement = i.memory_displacement64() as i64;
        match state.get(i.memory_base()) {
            Val::Addr(Dest::Inside(addr)) => constant(addr.wrapping_add_signed(displacement)),
            Val::Stack(offset) => {
                state.spilled.get(&(offset + displacement)).cloned().unwrap_or(Val::Unknown)
            }
            _ => Val::Unknown,
        }
    }

    /// Applies an instruction that falls through to what is known of the registers.
    fn execute(&mut self, i: &Instruction, state: &mut State) {
        let stack = state.stack();
        let result = self.result(i, state);
        // Whatever else it writes is unknown afterwards.
        let written: Vec<Register> = self
            .info
            .info(i)
            .used_registers()
            .iter()
            .filter(|r| {
                matches!(
                    r.access(),
                    OpAccess::Write
                        | OpAccess::CondWrite
                        | OpAccess::ReadWrite
                        | OpAccess::ReadCondWrite
                )
            })
            .map(|r| r.register().full_register())
            .collect();
        let written_stack_pointer = written.contains(&Register::RSP);
        self.store(i, state);
        for register in written {
            state.set(register, Val::Unknown);
        }
        if let Some(offset) = stack {
            // Push, pop and their kind. For anything else that writes the stack pointer, `result`
            // speaks.
            let moved = i64::from(i.stack_pointer_increment());
            let computed = matches!(i.mnemonic(), Mnemonic::Leave | Mnemonic::Enter)
                || (written_stack_pointer
                    && (moved == 0
                        || i.op0_register() == Register::RSP && i.mnemonic() == Mnemonic::Pop));
            if !computed {
                state.set(Register::RSP, Val::Stack(offset + moved));
            }
        }
        if let Some((register, val)) = result {
            state.set(register, val);
        }
    }

    /// The register whose new value is known, and that value.
    fn result(&self, i: &Instruction, state: &State) -> Option<(Register, Val)> {
        if i.mnemonic() == Mnemonic::Leave {
            // rsp = rbp, then rbp is popped: the frame pointer's old value is the caller's.
            return match state.get(Register::RBP) {
                Val::Stack(offset) => Some((Register::RSP, Val::Stack(offset + 8))),
                _ => None,
            };
        }
        if i.op_count() != 2 || i.op0_kind() != OpKind::Register {
            return None;
        }
        let to = i.op0_register();
        index(to)?;
        let source = |n| match i.op_kind(n) {
            OpKind::Register => state.get(i.op_register(n)),
            OpKind::Memory => self.load(i, state),
            _ => Val::Unknown,
        };
        let immediate = i.op1_kind() != OpKind::Register && i.op1_kind() != OpKind::Memory;
        let val = match i.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movsxd if !immediate => source(1),
            Mnemonic::Lea if i.is_ip_rel_memory_operand() => match ip_relative(self.image, i) {
                (dest, How::Direct) => Val::Addr(dest),
                _ => Val::Unknown,
            },
            Mnemonic::Lea if i.memory_index() == Register::None => {
                let displacement = i.memory_displacement64() as i64;
                match state.get(i.memory_base()) {
                    Val::Stack(offset) => Val::Stack(offset + displacement),
                    Val::Addr(dest) => Val::Addr(shift(&dest, displacement)),
                    _ => Val::Unknown,
                }
            }
            Mnemonic::Add | Mnemonic::Sub if immediate => {
                let by = i.immediate(1) as i64;
                let by = if i.mnemonic() == Mnemonic::Add { by } else { -by };
                match state.get(to) {
                    Val::Stack(offset) => Val::Stack(offset + by),
                    Val::Addr(dest) => Val::Addr(shift(&dest, by)),
                    _ => Val::Unknown,
                }
            }
            Mnemonic::Add => match (state.get(to), source(1)) {
                (Val::TableEntry(t), Val::Addr(Dest::Inside(base))) if t == base => {
                    Val::TableTarget(t)
                }
                (Val::Addr(Dest::Inside(base)), Val::TableEntry(t)) if t == base => {
                    Val::TableTarget(t)
                }
                _ => Val::Unknown,
            },
            Mnemonic::And if immediate => {
                // Aligns the stack pointer down. At entry it is 8 below a multiple of 16, and the
                // compiler only pushes multiples of 8, so at most `align - 8` bytes are skipped.
                let align = (i.immediate(1) as i64).wrapping_neg();
                match state.get(to) {
                    Val::Stack(offset) if align >= 8 && align.count_ones() == 1 => {
                        Val::Stack(offset - (align - 8))
                    }
                    _ => Val::Unknown,
                }
            }
            _ => Val::Unknown,
        };
        (val != Val::Unknown).then_some((to, val))
    }

    /// Keeps track of constants parked in the frame, and forgets those that are written over.
    fn store(&self, i: &Instruction, state: &mut State) {
        if i.op0_kind() != OpKind::Memory
            || matches!(i.mnemonic(), Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Bt)
        {
            return;
        }
        let Val::Stack(base) = state.get(i.memory_base()) else {
            return;
        };
        if i.memory_index() != Register::None {
            // Somewhere in an array of the frame: which slots, nobody knows.
            state.spilled.clear();
            return;
        }
        let offset = base + i.memory_displacement64() as i64;
        let size = i.memory_size().size().max(8) as i64;
        state.spilled.retain(|&o, _| o + 8 <= offset || o >= offset + size);
        if i.mnemonic() == Mnemonic::Mov && i.op1_kind() == OpKind::Register {
            match state.get(i.op1_register()) {
                Val::Unknown => {}
                known => {
                    state.spilled.insert(offset, known);
                }
            }
        }
    }
}
