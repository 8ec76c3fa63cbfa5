//! What the service manager is told, and the sockets it hands over: systemd's `sd_notify` and
//! `LISTEN_FDS`. Elsewhere than under systemd, nothing.

use sd_notify::NotifyState;
use tracing::warn;

/// The server is ready.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are being read again; [`ready`] is to follow.
pub fn reloading() {
    let reloading = NotifyState::monotonic_usec_now().map(|now| [NotifyState::Reloading, now]);
    match reloading {
        Ok(states) => tell(&states),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The server is about to stop.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager could not be told");
    }
}
