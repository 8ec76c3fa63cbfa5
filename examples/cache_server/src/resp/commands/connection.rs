//! What a connection says first: HELLO, AUTH, SELECT, PING and so on.

use super::{NONE, SYNTAX, Why, line};
use crate::resp::command::flag::{CONTROL, FAST, NO_AUTH, NO_MULTI, PUBSUB};
use crate::resp::command::{Call, Command};
use crate::resp::session::Replies;

/// The table.
pub static COMMANDS: [Command; 7] = [
    line("PING", -1, FAST | PUBSUB, NONE, "connection", "1.0.0", "PONG, or what was said.", ping),
    line("ECHO", 2, FAST, NONE, "connection", "1.0.0", "What was said.", echo),
    line(
        "HELLO",
        -1,
        FAST | NO_AUTH | NO_MULTI,
        NONE,
        "connection",
        "6.0.0",
        "Chooses the protocol.",
        hello,
    ),
    line(
        "AUTH",
        -2,
        FAST | NO_AUTH | NO_MULTI,
        NONE,
        "connection",
        "1.0.0",
        "Shows the password.",
        auth,
    ),
    line("SELECT", 2, FAST, NONE, "connection", "1.0.0", "Chooses database 0.", select),
    line(
        "QUIT",
        -1,
        FAST | NO_AUTH | CONTROL | PUBSUB,
        NONE,
        "connection",
        "1.0.0",
        "Ends the connection.",
        quit,
    ),
    line(
        "RESET",
        1,
        FAST | NO_AUTH | CONTROL | PUBSUB,
        NONE,
        "connection",
        "6.2.0",
        "As if just connected.",
        reset,
    ),
];

/// Bytes of a name of a client at most.
const MAX_NAME: usize = 64 << 10;

fn ping(call: &mut Call<'_>) {
    let args = call.args;
    if args.len() > 2 {
        return call.refuse("ERR wrong number of arguments for 'ping' command");
    }
    if !call.session.channels.is_empty() && !call.session.resp3 {
        call.out.array(2);
        call.out.bulk(b"pong");
        return call.out.bulk(args.get(1).unwrap_or_default());
    }
    match args.get(1) {
        Some(text) => call.out.bulk(text),
        None => call.out.status("PONG"),
    }
}

fn echo(call: &mut Call<'_>) {
    call.out.bulk(call.args.at(1));
}

fn select(call: &mut Call<'_>) {
    call.answer(|call| match call.integer(1)? {
        0 => {
            call.out.ok();
            Ok(())
        }
        _ => Err("ERR DB index is out of range".into()),
    });
}

fn quit(call: &mut Call<'_>) {
    call.out.ok();
    call.session.ends = true;
}

fn reset(call: &mut Call<'_>) {
    let (server, session) = (call.server, &mut *call.session);
    session.stop_tracking(server);
    session.transaction = None;
    session.watched.clear();
    session.channels.clear();
    session.caching = None;
    session.replies = Replies::On;
    session.resp3 = false;
    session.known = !server.live().wants_password();
    session.client.introduction.lock().name.clear();
    {
        let mut facts = session.client.facts.lock();
        (facts.no_evict, facts.no_touch) = (false, false);
    }
    session.tell_facts();
    call.out.resp3 = false;
    call.out.status("RESET");
}

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// Whether a user and a password are right. There is one user, `default`.
fn admits(call: &Call<'_>, user: &[u8], password: &[u8]) -> bool {
    let right = call.server.live().admits(password);
    right && user == b"default"
}

fn auth(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let (user, password) = match args.len() {
            2 if !call.server.live().wants_password() => {
                return Err("ERR AUTH <password> called without any password configured for the \
                            default user. Are you sure your configuration is correct?"
                    .into());
            }
            2 => (&b"default"[..], args.at(1)),
            3 => (args.at(1), args.at(2)),
            _ => return Err(SYNTAX.into()),
        };
        if !admits(call, user, password) {
            return Err(WRONG.into());
        }
        call.session.known = true;
        call.out.ok();
        Ok(())
    });
}

fn hello(call: &mut Call<'_>) {
    call.answer(|call| {
        let args = call.args;
        let version = match args.get(1) {
            None => None,
            Some(text) => match super::super::number::integer(text) {
                None => {
                    return Err("ERR Protocol version is not an integer or out of range".into());
                }
                Some(version @ (2 | 3)) => Some(version),
                Some(_) => return Err("NOPROTO unsupported protocol version".into()),
            },
        };
        let said = parse_hello(call)?;
        if let Some((user, password)) = said.user {
            if !admits(call, user, password) {
                return Err(WRONG.into());
            }
            call.session.known = true;
        }
        if !call.session.known {
            return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise \
                        the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the \
                        client and select the RESP protocol version at the same time"
                .into());
        }
        if let Some(name) = said.name {
            call.session.client.introduction.lock().name = name.to_vec();
        }
        if let Some(version) = version {
            call.session.resp3 = version == 3;
            call.out.resp3 = version == 3;
        }
        call.session.tell_facts();
        greet(call);
        Ok(())
    });
}

#[derive(Default)]
struct Said<'a> {
    user: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn parse_hello<'c>(call: &Call<'c>) -> Result<Said<'c>, Why> {
    let args = call.args;
    let (mut said, mut at) = (Said::default(), 2);
    while at < args.len() {
        if args.is(at, "AUTH") && at + 2 < args.len() {
            said.user = Some((args.at(at + 1), args.at(at + 2)));
            at += 3;
        } else if args.is(at, "SETNAME") && at + 1 < args.len() {
            check_name(args.at(at + 1), "Client names")?;
            said.name = Some(args.at(at + 1));
            at += 2;
        } else {
            let word =
                String::from_utf8_lossy(&args.at(at)[..args.at(at).len().min(128)]).into_owned();
            return Err(format!("ERR Syntax error in HELLO option '{word}'").into());
        }
    }
    Ok(said)
}

/// Whether something may be told of a client in a line: no blanks, no line breaks.
pub fn check_name(name: &[u8], what: &str) -> Result<(), Why> {
    if name.len() > MAX_NAME || name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(
            format!("ERR {what} cannot contain spaces, newlines or special characters.").into()
        );
    }
    Ok(())
}

fn greet(call: &mut Call<'_>) {
    let (server, out) = (call.server, &mut *call.out);
    let (name, version) = (&server.config.server_name, &server.config.redis_version);
    out.map(7);
    for (key, value) in [("server", name.as_str()), ("version", version.as_str())] {
        out.bulk(key.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"proto");
    out.integer(if call.session.resp3 { 3 } else { 2 });
    out.bulk(b"id");
    out.integer(call.session.id() as i64);
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        out.bulk(key.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"modules");
    out.array(0);
}
