//! What a connection is told beside its replies: invalidations, as it understands them.

use super::output::Output;
use super::session::Session;
use crate::tracking::Item;

/// The channel on which a RESP2 connection hears of invalidations of another.
pub const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Empties the mailbox into the output.
#[cold]
pub fn deliver(session: &mut Session, out: &mut Output) {
    for item in session.client.mailbox.take() {
        match &item {
            Item::Key(key) => invalidate(session, out, 1, |out| out.bulk(key)),
            Item::Prefix { keys, .. } => invalidate(session, out, keys.len(), |out| {
                keys.iter().for_each(|key| out.bulk(key));
            }),
            Item::Everything => everything(session, out),
            Item::Broken(id) => broken(session, out, *id),
        }
    }
}

fn invalidate(session: &Session, out: &mut Output, keys: usize, write: impl FnOnce(&mut Output)) {
    if session.resp3 {
        out.push(2);
        out.bulk(b"invalidate");
        out.array(keys);
    } else if listens(session) {
        message(out);
        out.array(keys);
    } else {
        return;
    }
    write(out);
}

fn everything(session: &Session, out: &mut Output) {
    if session.resp3 {
        out.push(2);
        out.bulk(b"invalidate");
        out.null();
    } else if listens(session) {
        message(out);
        out.null();
    }
}

/// Whether a RESP2 connection hears of invalidations.
fn listens(session: &Session) -> bool {
    !session.channels.is_empty()
}

fn message(out: &mut Output) {
    out.array(3);
    out.bulk(b"message");
    out.bulk(CHANNEL);
}

fn broken(session: &mut Session, out: &mut Output, id: u64) {
    if let Some(tracks) = &mut session.tracks {
        tracks.broken = true;
    }
    session.tell_facts();
    if session.resp3 {
        out.push(2);
        out.bulk(b"tracking-redir-broken");
        out.integer(id as i64);
    }
}
