//! CLIENT TRACKING, CACHING, TRACKINGINFO.

use super::{SYNTAX, Why};
use crate::resp::command::Call;
use crate::resp::session::Tracks;
use crate::tracking::Tracker;
use std::sync::Arc;

/// CLIENT TRACKING.
pub fn tracking(call: &mut Call<'_>) -> Result<(), Why> {
    let on = match call.args.at(2).to_ascii_uppercase().as_slice() {
        b"ON" => true,
        b"OFF" => false,
        _ => return Err(SYNTAX.into()),
    };
    let wanted = parse(call)?;
    if on {
        start(call, wanted)?;
    } else {
        call.session.stop_tracking(call.server);
    }
    // What CACHING said was of how it tracked before.
    call.session.caching = None;
    call.session.tell_facts();
    call.out.ok();
    Ok(())
}

fn parse(call: &Call<'_>) -> Result<Tracks, Why> {
    let args = call.args;
    let (mut tracks, mut at) = (Tracks::default(), 3);
    while at < args.len() {
        match args.at(at).to_ascii_uppercase().as_slice() {
            b"BCAST" => tracks.broadcast = true,
            b"OPTIN" => tracks.opt_in = true,
            b"OPTOUT" => tracks.opt_out = true,
            b"NOLOOP" => tracks.noloop = true,
            b"REDIRECT" if at + 1 < args.len() => {
                at += 1;
                if tracks.redirect != 0 {
                    return Err("ERR A client can only redirect to a single other client".into());
                }
                let id = call.integer(at)?;
                let id = u64::try_from(id).ok().filter(|&id| call.server.clients.get(id).is_some());
                tracks.redirect =
                    id.ok_or("ERR The client ID you want redirect to does not exist")?;
            }
            b"PREFIX" if at + 1 < args.len() => {
                at += 1;
                tracks.prefixes.push(Arc::from(args.at(at)));
            }
            _ => return Err(SYNTAX.into()),
        }
        at += 1;
    }
    Ok(tracks)
}

fn start(call: &mut Call<'_>, mut wanted: Tracks) -> Result<(), Why> {
    if !wanted.broadcast && !wanted.prefixes.is_empty() {
        return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
    }
    if wanted.opt_in && wanted.opt_out {
        return Err("ERR You can't use both OPTIN and OPTOUT at the same time".into());
    }
    if wanted.broadcast && (wanted.opt_in || wanted.opt_out) {
        return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
    }
    if let Some(before) = &call.session.tracks {
        if before.broadcast != wanted.broadcast {
            return Err(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this \
                        client, and then re-enabling it with a different mode."
                    .into(),
            );
        }
        if (before.opt_in && wanted.opt_out) || (before.opt_out && wanted.opt_in) {
            return Err(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this \
                        client, and then re-enabling it with a different mode."
                    .into(),
            );
        }
    }
    let before = call.session.tracks.take();
    if wanted.broadcast
        && let Err(why) = join(&mut wanted, before.as_deref())
    {
        call.session.tracks = before;
        return Err(why);
    }
    if before.is_some() {
        call.server.store.tracking().stop(call.session.id());
    } else if call.server.store.tracking().clients() == 0 {
        // What was evicted while nobody listened concerns nobody.
        call.server.store.forget_the_gone();
    }
    let redirect = (wanted.redirect != 0)
        .then(|| call.server.clients.get(wanted.redirect))
        .flatten()
        .map(|client| (client.id, Arc::clone(&client.mailbox)));
    let tracker = Tracker {
        id: call.session.id(),
        noloop: wanted.noloop,
        broadcast: wanted.broadcast,
        own: Arc::clone(&call.session.client.mailbox),
        redirect,
    };
    call.server.store.tracking().start(tracker, &wanted.prefixes);
    call.session.tracks = Some(Box::new(wanted));
    Ok(())
}

/// Puts the prefixes that were listened to before those that are new. None may begin another: the
/// client would be told twice.
fn join(wanted: &mut Tracks, before: Option<&Tracks>) -> Result<(), Why> {
    if wanted.prefixes.is_empty() {
        wanted.prefixes.push(Arc::from(&b""[..]));
    }
    let mut all: Vec<_> = before.map_or_else(Vec::new, |before| before.prefixes.clone());
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let refuse = |one: &[u8], what: &str, other: &[u8]| {
        let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
        let text = format!(
            "ERR Prefix '{one}' overlaps with {what} prefix '{other}'. Prefixes for a single client \
             must not overlap."
        );
        Err(Why::from(text))
    };
    for (i, new) in wanted.prefixes.iter().enumerate() {
        if let Some(old) = all.iter().find(|old| overlap(new, old)) {
            return refuse(new, "an existing", old);
        }
        if let Some(other) = wanted.prefixes[i + 1..].iter().find(|other| overlap(new, other)) {
            return refuse(new, "another provided", other);
        }
    }
    all.append(&mut wanted.prefixes);
    wanted.prefixes = all;
    Ok(())
}

/// CLIENT CACHING.
pub fn caching(call: &mut Call<'_>) -> Result<(), Why> {
    let tracks = call.session.tracks.as_deref();
    let yes = match call.args.at(2).to_ascii_uppercase().as_slice() {
        _ if tracks.is_none() => false,
        b"YES" => true,
        b"NO" => false,
        _ => return Err(SYNTAX.into()),
    };
    match tracks {
        None => {
            return Err(
                "ERR CLIENT CACHING can be called only when the client is in tracking mode with \
                        OPTIN or OPTOUT mode enabled"
                    .into(),
            );
        }
        Some(tracks) if yes && !tracks.opt_in => {
            return Err(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
                    .into(),
            );
        }
        Some(tracks) if !yes && !tracks.opt_out => {
            return Err(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
                    .into(),
            );
        }
        Some(_) => call.session.caching = Some(yes),
    }
    call.out.ok();
    Ok(())
}

/// CLIENT TRACKINGINFO.
pub fn info(call: &mut Call<'_>) {
    let tracks = call.session.tracks.as_deref();
    let mut flags = vec![if tracks.is_some() { "on" } else { "off" }];
    if let Some(tracks) = tracks {
        for (is, name) in
            [(tracks.broadcast, "bcast"), (tracks.opt_in, "optin"), (tracks.opt_out, "optout")]
        {
            if is {
                flags.push(name);
            }
        }
        match call.session.caching {
            Some(true) => flags.push("caching-yes"),
            Some(false) => flags.push("caching-no"),
            None => {}
        }
        if tracks.noloop {
            flags.push("noloop");
        }
        if tracks.broken {
            flags.push("broken_redirect");
        }
    }
    let out = &mut *call.out;
    out.map(3);
    out.bulk(b"flags");
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"redirect");
    out.integer(tracks.map_or(-1, |tracks| tracks.redirect as i64));
    out.bulk(b"prefixes");
    let prefixes = tracks.map_or(&[][..], |tracks| &tracks.prefixes);
    out.array(prefixes.len());
    prefixes.iter().for_each(|prefix| out.bulk(prefix));
}
