//! Digests, and deleting on a condition: DIGEST, DELEX (Redis 8.4), DELIFEQ (Valkey 9).

use super::condition::{Condition, digest};
use super::{ONE, SYNTAX, Why, line, refusal};
use crate::resp::command::flag::{FAST, READ, WRITE};
use crate::resp::command::{Call, Command};
use ::larder::{Change, Lent};

/// The table.
pub static COMMANDS: [Command; 3] = [
    line("DIGEST", 2, READ | FAST, ONE, "string", "8.4.0", "A digest of a value.", tell_digest),
    line("DELEX", -2, WRITE | FAST, ONE, "string", "8.4.0", "Deletes a key on a condition.", delex),
    line(
        "DELIFEQ",
        3,
        WRITE | FAST,
        ONE,
        "string",
        "9.0.0",
        "Deletes a key that has a value.",
        delifeq,
    ),
];

fn tell_digest(call: &mut Call<'_>) {
    call.scratch.clear();
    match call.server.store.get(call.args.at(1), usize::MAX, call.scratch, |_, _, _| {}) {
        Lent::Miss => call.out.null(),
        _ => call.out.bulk(digest(call.scratch).as_bytes()),
    }
}

fn delex(call: &mut Call<'_>) {
    call.answer(|call| {
        let mut condition = Condition::Always;
        if call.args.len() > 2 {
            let used = condition.take(call.args, 2)?;
            if used != 2 || call.args.len() != 4 {
                return Err(SYNTAX.into());
            }
        }
        delete_if(call, condition)
    });
}

fn delifeq(call: &mut Call<'_>) {
    call.answer(|call| delete_if(call, Condition::Equals(call.args.at(2))));
}

fn delete_if(call: &mut Call<'_>, condition: Condition<'_>) -> Result<(), Why> {
    let (deleted, _) = call
        .server
        .store
        .update(call.session.id(), call.args.at(1), 0, call.scratch, |current, _| {
            let deletes = current.is_some_and(|current| condition.holds(Some(current.value)));
            (if deletes { Change::Remove } else { Change::Keep }, deletes)
        })
        .map_err(refusal)?;
    call.out.integer(i64::from(deleted));
    Ok(())
}
