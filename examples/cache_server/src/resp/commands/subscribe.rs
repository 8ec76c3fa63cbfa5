//! SUBSCRIBE: to the invalidations of another connection (RESP2 clients hear of them so). There is no
//! other publishing.

use super::{NONE, line};
use crate::resp::command::flag::PUBSUB;
use crate::resp::command::{Call, Command};
use crate::resp::pushes::CHANNEL;

/// The table.
pub static COMMANDS: [Command; 2] = [
    line("SUBSCRIBE", -2, PUBSUB, NONE, "pubsub", "2.0.0", "Listens to invalidations.", subscribe),
    line("UNSUBSCRIBE", -1, PUBSUB, NONE, "pubsub", "2.0.0", "Listens no more.", unsubscribe),
];

fn subscribe(call: &mut Call<'_>) {
    if call.args.from(1).any(|channel| channel != CHANNEL) {
        return call.refuse(
            "ERR this server publishes nothing but invalidations, on the channel __redis__:invalidate",
        );
    }
    for channel in call.args.from(1) {
        if !call.session.channels.iter().any(|known| &**known == channel) {
            call.session.channels.push(channel.into());
        }
        tell(call, b"subscribe", Some(channel));
    }
    call.session.tell_facts();
}

fn unsubscribe(call: &mut Call<'_>) {
    let named: Vec<Vec<u8>> = if call.args.len() > 1 {
        call.args.from(1).map(<[u8]>::to_vec).collect()
    } else {
        call.session.channels.iter().map(|channel| channel.to_vec()).collect()
    };
    if named.is_empty() {
        tell(call, b"unsubscribe", None);
    }
    for channel in named {
        call.session.channels.retain(|known| **known != *channel);
        tell(call, b"unsubscribe", Some(&channel));
    }
    call.session.tell_facts();
}

fn tell(call: &mut Call<'_>, what: &[u8], channel: Option<&[u8]>) {
    call.out.push(3);
    call.out.bulk(what);
    super::value(call.out, channel);
    let count = call.session.channels.len();
    call.out.integer(count as i64);
}
