//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! A watched key is remembered with its version, which every write changes; EXEC compares. So keys
//! that are only watched cost nobody else anything.

use super::{ALL, NONE, Why, line, refusal};
use crate::resp::command::flag::{ALONE, CONTROL, FAST};
use crate::resp::command::{Args, Call, Command};
use crate::resp::execute;
use crate::resp::session::{MOST_WATCHED, Watched};
use ::larder::Ask;

const F: u16 = FAST | CONTROL;

/// The table.
pub static COMMANDS: [Command; 5] = [
    line("MULTI", 1, F, NONE, "transactions", "1.2.0", "Begins a transaction.", multi),
    line("EXEC", 1, CONTROL | ALONE, NONE, "transactions", "1.2.0", "Runs what is queued.", exec),
    line("DISCARD", 1, F, NONE, "transactions", "2.0.0", "Ends a transaction.", discard),
    line(
        "WATCH",
        -2,
        F,
        ALL,
        "transactions",
        "2.2.0",
        "EXEC only if these stay as they are.",
        watch,
    ),
    line("UNWATCH", 1, FAST, NONE, "transactions", "2.2.0", "Forgets what is watched.", unwatch),
];

fn multi(call: &mut Call<'_>) {
    if let Some(transaction) = &mut call.session.transaction {
        transaction.spoiled = true;
        return call.refuse("ERR MULTI calls can not be nested");
    }
    call.session.transaction = Some(Box::default());
    call.session.tell_facts();
    call.out.ok();
}

fn discard(call: &mut Call<'_>) {
    if call.session.transaction.take().is_none() {
        return call.refuse("ERR DISCARD without MULTI");
    }
    call.session.watched.clear();
    call.session.tell_facts();
    call.out.ok();
}

fn unwatch(call: &mut Call<'_>) {
    call.session.watched.clear();
    call.session.tell_facts();
    call.out.ok();
}

fn watch(call: &mut Call<'_>) {
    if let Some(transaction) = &mut call.session.transaction {
        transaction.spoiled = true;
        return call.refuse("ERR WATCH inside MULTI is not allowed");
    }
    call.answer(|call| {
        for key in call.args.from(1) {
            if call.session.watched.iter().any(|watched| &*watched.key == key) {
                continue;
            }
            if call.session.watched.len() >= MOST_WATCHED {
                return Err("ERR a connection may watch 10000 keys".into());
            }
            let version = version(call, key)?;
            call.session.watched.push(Watched { key: key.into(), version });
        }
        call.session.tell_facts();
        call.out.ok();
        Ok(())
    });
}

/// The version of a key; `None` if it isn't there.
fn version(call: &mut Call<'_>, key: &[u8]) -> Result<Option<u64>, Why> {
    call.scratch.clear();
    let ask = Ask { version: true, ..Ask::default() };
    let found = call.server.store.get_with(key, call.scratch, ask).map_err(refusal)?;
    Ok(found.map(|info| info.version))
}

fn exec(call: &mut Call<'_>) {
    let Some(transaction) = call.session.transaction.take() else {
        return call.refuse("ERR EXEC without MULTI");
    };
    let watched = std::mem::take(&mut call.session.watched);
    call.session.tell_facts();
    if transaction.spoiled {
        return call.refuse("EXECABORT Transaction discarded because of previous errors.");
    }
    for Watched { key, version: before } in &watched {
        match version(call, key) {
            Ok(now) if now == *before => {}
            Ok(_) => return call.out.null_array(),
            Err(why) => return call.refuse(&why),
        }
    }
    call.out.array(transaction.queue.len());
    for queued in &transaction.queue {
        let mut call = Call {
            server: call.server,
            session: &mut *call.session,
            out: &mut *call.out,
            scratch: &mut *call.scratch,
            args: Args::new(&queued.bytes, &queued.ranges),
            command: queued.command,
        };
        execute::run(&mut call);
    }
    call.session.caching = None;
}
