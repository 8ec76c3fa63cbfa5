//! CLIENT: what a connection says of itself, what is told of all, and client-side caching.

use super::connection::check_name;
use super::keys::help;
use super::{NONE, SYNTAX, Why, line, tracking};
use crate::resp::command::flag::{ADMIN, FAST};
use crate::resp::command::{Call, Command, name_of};
use crate::resp::session::Replies;
use crate::server::Client;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The table.
pub static COMMANDS: [Command; 1] =
    [line("CLIENT", -2, FAST | ADMIN, NONE, "connection", "2.4.0", "About connections.", client)];

fn client(call: &mut Call<'_>) {
    let sub = call.args.at(1).to_ascii_uppercase();
    let count = call.args.len();
    let exact = |wanted: usize| count == wanted;
    match sub.as_slice() {
        b"ID" if exact(2) => {
            let id = call.session.id();
            call.out.integer(id as i64);
        }
        b"GETNAME" if exact(2) => {
            let name = call.session.client.introduction.lock().name.clone();
            super::value(call.out, (!name.is_empty()).then_some(&name[..]));
        }
        b"SETNAME" if exact(3) => call.answer(set_name),
        b"SETINFO" if exact(4) => call.answer(set_info),
        b"INFO" if exact(2) => {
            let text = describe(call, &call.session.client) + "\n";
            call.out.text(&text);
        }
        b"LIST" => call.answer(list),
        b"KILL" if count > 2 => call.answer(kill),
        b"NO-EVICT" | b"NO-TOUCH" if exact(3) => call.answer(switch),
        b"REPLY" if exact(3) => call.answer(reply),
        b"UNPAUSE" if exact(2) => call.out.ok(),
        b"TRACKING" if count > 2 => call.answer(tracking::tracking),
        b"TRACKINGINFO" if exact(2) => tracking::info(call),
        b"CACHING" if exact(3) => call.answer(tracking::caching),
        b"GETREDIR" if exact(2) => {
            let redirect = call.session.tracks.as_ref().map_or(-1, |tracks| tracks.redirect as i64);
            call.out.integer(redirect);
        }
        b"HELP" => help(
            call,
            &[
                "CLIENT CACHING | GETNAME | GETREDIR | ID | INFO | KILL | LIST | NO-EVICT | NO-TOUCH | REPLY | \
               SETINFO | SETNAME | TRACKING | TRACKINGINFO | UNPAUSE",
            ],
        ),
        b"ID" | b"GETNAME" | b"SETNAME" | b"SETINFO" | b"INFO" | b"KILL" | b"NO-EVICT"
        | b"NO-TOUCH" | b"REPLY" | b"UNPAUSE" | b"TRACKING" | b"TRACKINGINFO" | b"CACHING"
        | b"GETREDIR" => {
            let sub = String::from_utf8_lossy(&sub).to_ascii_lowercase();
            call.wrong_number(&sub);
        }
        _ => call.unknown_subcommand(),
    }
}

fn set_name(call: &mut Call<'_>) -> Result<(), Why> {
    let name = call.args.at(2);
    check_name(name, "Client names")?;
    call.session.client.introduction.lock().name = name.to_vec();
    call.out.ok();
    Ok(())
}

fn set_info(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args;
    let is_name = args.is(2, "LIB-NAME");
    if !is_name && !args.is(2, "LIB-VER") {
        let option = String::from_utf8_lossy(&args.at(2)[..args.at(2).len().min(128)]).into_owned();
        return Err(format!("ERR Unrecognized option '{option}'").into());
    }
    check_name(args.at(3), if is_name { "lib-name" } else { "lib-ver" })?;
    let mut introduction = call.session.client.introduction.lock();
    let place = if is_name { &mut introduction.lib_name } else { &mut introduction.lib_ver };
    *place = args.at(3).to_vec();
    call.out.ok();
    Ok(())
}

/// A line of CLIENT LIST.
fn describe(call: &Call<'_>, client: &Client) -> String {
    let now = call.server.store.now();
    let facts = *client.facts.lock();
    let said = client.introduction.lock().clone();
    let seconds = |since: i64| (now - since).max(0) / 1000;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut command = name_of(client.command.load(Ordering::Relaxed)).unwrap_or("NULL".into());
    if client.id == call.session.id() {
        // This very one.
        command = format!("client|{}", text(call.args.at(1)).to_ascii_lowercase());
    }
    format!(
        "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={} db=0 sub={} psub=0 ssub=0 multi={} \
         watch={} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={} tot-mem={} \
         events=r cmd={} user=default redir={} resp={} lib-name={} lib-ver={} tot-net-in={} \
         tot-net-out={} tot-cmds={}",
        client.id,
        client.addr,
        client.laddr,
        text(&said.name),
        seconds(client.since),
        seconds(client.active.load(Ordering::Relaxed)),
        facts.letters(),
        facts.sub,
        facts.multi,
        facts.watch,
        client.waiting.load(Ordering::Relaxed),
        client.waiting.load(Ordering::Relaxed),
        command,
        facts.redirect,
        facts.resp,
        text(&said.lib_name),
        text(&said.lib_ver),
        client.received.load(Ordering::Relaxed),
        client.sent.load(Ordering::Relaxed),
        client.commands.load(Ordering::Relaxed),
    )
}

fn list(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args;
    let (mut wanted, mut at) = (Filter::default(), 2);
    while at < args.len() {
        if args.is(at, "ID") && at + 1 < args.len() {
            for place in at + 1..args.len() {
                let id = call.integer(place).map_err(|_| "ERR Invalid client ID")?;
                wanted.ids.push(id);
            }
            break;
        }
        at += wanted.take(call, at)?;
    }
    let mut text = String::new();
    for client in call.server.clients.all().iter().filter(|client| wanted.matches(call, client)) {
        text += &describe(call, client);
        text.push('\n');
    }
    call.out.text(&text);
    Ok(())
}

/// Which connections are meant.
#[derive(Default)]
struct Filter {
    ids: Vec<i64>,
    addr: Option<String>,
    laddr: Option<String>,
    kind: Option<bool>,
    user: Option<Vec<u8>>,
    not_me: bool,
    oldest: Option<i64>,
}

impl Filter {
    /// Takes a pair of arguments.
    fn take(&mut self, call: &Call<'_>, at: usize) -> Result<usize, Why> {
        let args = call.args;
        let Some(value) = args.get(at + 1) else { return Err(SYNTAX.into()) };
        let text = || String::from_utf8_lossy(value).into_owned();
        match args.at(at).to_ascii_uppercase().as_slice() {
            b"ID" => {
                let id = call.integer(at + 1).ok().filter(|&id| id > 0);
                self.ids.push(id.ok_or("ERR client-id should be greater than 0")?);
            }
            b"MAXAGE" => {
                let seconds = call.integer(at + 1)?;
                let seconds = Some(seconds).filter(|&seconds| seconds > 0);
                self.oldest = Some(seconds.ok_or("ERR maxage should be greater than 0")?);
            }
            b"ADDR" => self.addr = Some(text()),
            b"LADDR" => self.laddr = Some(text()),
            b"USER" if value == b"default" => self.user = Some(value.to_vec()),
            b"USER" => return Err(format!("ERR No such user '{}'", text()).into()),
            b"TYPE" => match value.to_ascii_lowercase().as_slice() {
                b"normal" => self.kind = Some(false),
                b"pubsub" => self.kind = Some(true),
                b"master" | b"primary" | b"replica" | b"slave" => self.ids.push(-1),
                _ => return Err(format!("ERR Unknown client type '{}'", text()).into()),
            },
            b"SKIPME" => match value.to_ascii_lowercase().as_slice() {
                b"yes" => self.not_me = true,
                b"no" => self.not_me = false,
                _ => return Err(SYNTAX.into()),
            },
            _ => return Err(SYNTAX.into()),
        }
        Ok(2)
    }

    fn matches(&self, call: &Call<'_>, client: &Client) -> bool {
        (self.ids.is_empty() || self.ids.contains(&(client.id as i64)))
            && self.addr.as_ref().is_none_or(|addr| *addr == client.addr)
            && self.laddr.as_ref().is_none_or(|laddr| *laddr == client.laddr)
            && self.kind.is_none_or(|subscribed| (client.facts.lock().sub > 0) == subscribed)
            && self
                .oldest
                .is_none_or(|seconds| call.server.store.now() - client.since >= seconds * 1000)
            && !(self.not_me && client.id == call.session.id())
    }
}

fn kill(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args;
    if args.len() == 3 {
        let filter = Filter {
            addr: Some(String::from_utf8_lossy(args.at(2)).into_owned()),
            ..Filter::default()
        };
        if kill_all(call, &filter) == 0 {
            return Err("ERR No such client".into());
        }
        call.out.ok();
        return Ok(());
    }
    let (mut filter, mut at) = (Filter { not_me: true, ..Filter::default() }, 2);
    while at < args.len() {
        at += filter.take(call, at)?;
    }
    let killed = kill_all(call, &filter);
    call.out.integer(killed as i64);
    Ok(())
}

fn kill_all(call: &mut Call<'_>, filter: &Filter) -> usize {
    let all: Vec<Arc<Client>> = call.server.clients.all();
    let meant: Vec<_> = all.into_iter().filter(|client| filter.matches(call, client)).collect();
    for client in &meant {
        if client.id == call.session.id() {
            call.session.ends = true;
        } else {
            client.mailbox.kill();
        }
    }
    meant.len()
}

/// CLIENT NO-EVICT, CLIENT NO-TOUCH: noted and told. There is no eviction of clients, and reads by
/// this command's users count like all others.
fn switch(call: &mut Call<'_>) -> Result<(), Why> {
    let on = match call.args.at(2).to_ascii_uppercase().as_slice() {
        b"ON" => true,
        b"OFF" => false,
        _ => return Err(SYNTAX.into()),
    };
    let mut facts = call.session.client.facts.lock();
    if call.args.is(1, "NO-EVICT") {
        facts.no_evict = on;
    } else {
        facts.no_touch = on;
    }
    call.out.ok();
    Ok(())
}

fn reply(call: &mut Call<'_>) -> Result<(), Why> {
    match call.args.at(2).to_ascii_uppercase().as_slice() {
        b"ON" => {
            call.session.replies = Replies::On;
            call.out.ok();
        }
        b"OFF" => call.session.replies = Replies::Off,
        b"SKIP" if call.session.replies == Replies::On => {
            call.session.replies = Replies::SkipNext;
        }
        b"SKIP" => {}
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}
