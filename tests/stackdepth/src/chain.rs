//! The call graph below one function: its deepest chain, and everything that keeps the depth from
//! being proven.

use std::collections::{BTreeSet, HashMap};

use crate::allow;
use crate::frame::{self, Frame, Problem};
use crate::image::{Dest, Func, Image, pretty};

const PANIC: &str = "a panic is reachable: it formats, unwinds and runs foreign code on this stack";
const UNLISTED: &str = "not on the list of external functions that a fast-door function may call";

const RECURSION: &str = "recursion: the depth has no bound";

/// One function of the deepest chain, with the bytes it puts on the stack before the next one's
/// entry.
#[derive(Clone, Debug)]
pub struct Link {
    pub name: String,
    pub bytes: u64,
}

/// One function on the way to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    /// The instruction in the function before it that calls it.
    pub called_at: Option<u64>,
}

/// Why a function's depth is not proven, and the calls that lead there.
#[derive(Clone, Debug)]
pub struct Failure {
    pub chain: Vec<Step>,
    pub what: String,
}

impl Failure {
    /// The names of the functions on the way.
    pub fn names(&self) -> Vec<&str> {
        self.chain.iter().map(|step| step.name.as_str()).collect()
    }
}

/// What was found below one function.
#[derive(Debug)]
pub struct Report {
    /// Bytes below the function's entry (its return address excluded).
    pub depth: u64,
    pub chain: Vec<Link>,
    pub failures: Vec<Failure>,
}

/// Analyses functions of one image, each once.
pub struct Graph<'a> {
    image: &'a Image,
    taken: BTreeSet<u64>,
    frames: HashMap<u64, (Func, Frame)>,
}

struct Search<'g, 'a> {
    graph: &'g mut Graph<'a>,
    /// Finished functions: depth, and the chain from there down.
    done: HashMap<u64, (u64, Vec<Link>)>,
    path: Vec<(u64, Step)>,
    failures: Vec<Failure>,
}

impl<'a> Graph<'a> {
    pub fn new(image: &'a Image) -> Graph<'a> {
        Graph { image, taken: frame::taken_addresses(image), frames: HashMap::new() }
    }

    /// The deepest chain below `func`.
    pub fn report(&mut self, func: &Func) -> Report {
        let mut search =
            Search { graph: self, done: HashMap::new(), path: Vec::new(), failures: Vec::new() };
        let (depth, chain) = search.visit(func.addr, None);
        Report { depth, chain, failures: search.failures }
    }

    fn frame(&mut self, addr: u64) -> &(Func, Frame) {
        self.frames.entry(addr).or_insert_with(|| {
            let Some(mut func) = self.image.func_at(addr) else {
                let func = Func { name: format!("{addr:#x}"), addr, size: 0 };
                let what = "leads out of the library's code".into();
                let problem = Problem { at: addr, instruction: "?".into(), what };
                return (func, Frame { problems: vec![problem], ..Frame::default() });
            };
            if func.addr != addr {
                // Entered in the middle: the rest of the function is what counts.
                func.size -= addr - func.addr;
                func.addr = addr;
            }
            let frame = frame::analyse(self.image, &self.taken, &func);
            (func, frame)
        })
    }
}

impl Search<'_, '_> {
    fn fail(&mut self, what: String) {
        let chain: Vec<Step> = self.path.iter().map(|(_, step)| step.clone()).collect();
        // Code is visited again where less turned out to be known.
        if !self.failures.iter().any(|f| f.chain == chain && f.what == what) {
            self.failures.push(Failure { chain, what });
        }
    }

    fn visit(&mut self, addr: u64, called_at: Option<u64>) -> (u64, Vec<Link>) {
        if let Some(known) = self.done.get(&addr) {
            return known.clone();
        }
        let (func, frame) = self.graph.frame(addr);
        let name = func.pretty_name();
        if let Some(a) = allow::trusted(&name) {
            return (a.bytes, vec![Link { name, bytes: a.bytes }]);
        }
        let (own, calls, problems) = (frame.own, frame.calls.clone(), frame.problems.clone());
        let recursion = self.path.iter().any(|(a, _)| *a == addr);
        self.path.push((addr, Step { name: name.clone(), called_at }));
        if recursion || allow::is_panic_path(&name) {
            self.fail(if recursion { RECURSION } else { PANIC }.into());
            self.path.pop();
            return (0, Vec::new());
        }
        for problem in problems {
            self.fail(format!("{} (at {:#x}: {})", problem.what, problem.at, problem.instruction));
        }
        let mut best = (own, vec![Link { name: name.clone(), bytes: own }]);
        for call in calls {
            let (depth, rest) = match &call.dest {
                Dest::Inside(target) => self.visit(*target, Some(call.at)),
                Dest::External(external) => self.external(external, call.at),
            };
            if call.depth + depth > best.0 {
                let mut chain = vec![Link { name: name.clone(), bytes: call.depth }];
                chain.extend(rest);
                best = (call.depth + depth, chain);
            }
        }
        self.path.pop();
        self.done.insert(addr, best.clone());
        best
    }

    fn external(&mut self, name: &str, called_at: u64) -> (u64, Vec<Link>) {
        match allow::allowance(name) {
            Some(a) => (a.bytes, vec![Link { name: name.into(), bytes: a.bytes }]),
            None => {
                let name = pretty(name);
                let what = if allow::is_panic_path(&name) { PANIC } else { UNLISTED };
                self.path.push((0, Step { name, called_at: Some(called_at) }));
                self.fail(what.into());
                self.path.pop();
                (0, Vec::new())
            }
        }
    }
}
