//! COMMAND: what there is.

use super::keys::help;
use super::{SYNTAX, Why};
use crate::resp::command::{Call, Command, all, count, find, flag};
use crate::resp::glob;

/// COMMAND.
pub fn command(call: &mut Call<'_>) {
    let args = call.args;
    let Some(sub) = args.get(1) else {
        call.out.array(count());
        return all().for_each(|command| describe(call, command));
    };
    match sub.to_ascii_uppercase().as_slice() {
        b"COUNT" if args.len() == 2 => call.out.integer(count() as i64),
        b"INFO" => info(call),
        b"DOCS" => docs(call),
        b"LIST" => call.answer(list),
        b"GETKEYS" if args.len() > 2 => call.answer(keys),
        b"HELP" => help(call, &["COMMAND [COUNT | DOCS | GETKEYS | INFO | LIST]"]),
        _ => call.unknown_subcommand(),
    }
}

fn named<'c>(call: &Call<'c>) -> Vec<Option<&'static Command>> {
    if call.args.len() == 2 {
        return all().map(Some).collect();
    }
    call.args.from(2).map(find).collect()
}

fn info(call: &mut Call<'_>) {
    let commands = named(call);
    call.out.array(commands.len());
    for command in commands {
        match command {
            Some(command) => describe(call, command),
            None => call.out.null_array(),
        }
    }
}

const FLAGS: [(u16, &str); 6] = [
    (flag::WRITE, "write"),
    (flag::READ, "readonly"),
    (flag::DENYOOM, "denyoom"),
    (flag::FAST, "fast"),
    (flag::ADMIN, "admin"),
    (flag::NO_AUTH, "no_auth"),
];

fn describe(call: &mut Call<'_>, command: &Command) {
    let out = &mut *call.out;
    out.array(10);
    out.bulk(command.name.to_ascii_lowercase().as_bytes());
    out.integer(i64::from(command.arity));
    let flags: Vec<&str> =
        FLAGS.iter().filter(|(flag, _)| command.is(*flag)).map(|&(_, name)| name).collect();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.status(flag));
    let (first, last, step) = command.keys;
    [first, last, step].into_iter().for_each(|number| out.integer(i64::from(number)));
    let category = format!("@{}", command.group);
    let kind = if command.is(flag::WRITE) {
        Some("@write")
    } else {
        command.is(flag::READ).then_some("@read")
    };
    out.set(1 + usize::from(kind.is_some()));
    out.status(&category);
    if let Some(kind) = kind {
        out.status(kind);
    }
    // Tips, specifications of keys, subcommands.
    (0..3).for_each(|_| out.array(0));
}

fn docs(call: &mut Call<'_>) {
    let commands: Vec<_> = named(call).into_iter().flatten().collect();
    call.out.map(commands.len());
    for command in commands {
        let out = &mut *call.out;
        out.bulk(command.name.to_ascii_lowercase().as_bytes());
        out.map(3);
        for (key, value) in
            [("summary", command.summary), ("since", command.since), ("group", command.group)]
        {
            out.bulk(key.as_bytes());
            out.bulk(value.as_bytes());
        }
    }
}

fn list(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args;
    let pattern = match args.len() {
        2 => None,
        5 if args.is(2, "FILTERBY") && args.is(3, "PATTERN") => Some(args.at(4)),
        5 if args.is(2, "FILTERBY") && (args.is(3, "ACLCAT") || args.is(3, "MODULE")) => {
            Some(&b""[..])
        }
        _ => return Err(SYNTAX.into()),
    };
    let names: Vec<String> = all()
        .map(|command| command.name.to_ascii_lowercase())
        .filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name.as_bytes())))
        .collect();
    call.out.array(names.len());
    names.iter().for_each(|name| call.out.bulk(name.as_bytes()));
    Ok(())
}

fn keys(call: &mut Call<'_>) -> Result<(), Why> {
    let args = call.args.skip(2);
    let Some(command) = find(args.at(0)) else {
        return Err("ERR Invalid command specified".into());
    };
    if !command.takes(args.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let places: Vec<usize> = command.key_places(args).collect();
    if places.is_empty() {
        return Err("ERR The command has no key arguments".into());
    }
    call.out.array(places.len());
    places.iter().for_each(|&place| call.out.bulk(args.get(place).unwrap_or_default()));
    Ok(())
}
