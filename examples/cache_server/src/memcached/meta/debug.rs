//! `me`: what there is to know of an item, for people.

use super::flags::Flags;
use super::{BAD_LINE, push, push_base64, push_signed};
use crate::memcached::exptime::seconds_left;
use crate::memcached::item;
use crate::memcached::session::{Context, Session};
use larder::{Ask, State};

pub(in crate::memcached) fn debug(
    cx: &Context<'_>,
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let Some((key, order)) = words.split_first() else { return out.extend_from_slice(BAD_LINE) };
    let Ok(flags) = Flags::read(key, order) else { return out.extend_from_slice(BAD_LINE) };
    let was_read = cx.store.peek(flags.key()).is_some_and(|(_, info)| info.hits > 0);
    let value = &mut session.value;
    let ask = Ask { version: true, lease: false };
    let found = cx.store.get_with(flags.key(), value, ask).ok().flatten();
    let Some(info) = found.filter(|info| info.state != State::Absent) else {
        return out.extend_from_slice(b"EN\r\n");
    };
    out.extend_from_slice(b"ME ");
    if item::key_is_binary(info.user) {
        push_base64(out, flags.key());
    } else {
        out.extend_from_slice(flags.key());
    }
    out.extend_from_slice(b" exp=");
    push_signed(out, seconds_left(info.ttl));
    out.extend_from_slice(b" la=0");
    push(out, b" cas=", info.version);
    out.extend_from_slice(if was_read { b" fetch=yes" } else { b" fetch=no" });
    push(out, b" cls=1 size=", (flags.key().len() + value.len()) as u64);
    out.extend_from_slice(b"\r\n");
}
