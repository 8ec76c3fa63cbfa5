//! The life of the process: settings, sockets, workers, signals, and a stop that loses no answer.

mod reload;
mod workers;

pub use workers::{Connection, Duplex, Resp, Workers};

use crate::config::{self, Config, Request, Sources};
use crate::edges::{Listening, listen, log, notify};
use crate::shared::Shared;
use crate::store::Store;
use crate::tracking::Tracking;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// How often expiries and evictions are told to those who track.
const TICK: Duration = Duration::from_millis(10);
/// Files beside clients' connections.
const FILES: u64 = 128;

/// The program: what the command line asks for. `resp` makes what serves RESP, if anything does.
pub fn main(resp: impl FnOnce(&Config, &Arc<Shared>) -> Option<Resp>) -> ExitCode {
    let sources = config::from_process();
    let (request, strangers) = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("larder-server: {error}");
            return ExitCode::from(2);
        }
    };
    match request {
        Request::Version => println!("larder-server {}", env!("CARGO_PKG_VERSION")),
        Request::Help => print!("{}", config::help()),
        Request::Check(config) => return check(&config),
        Request::Serve(config) => {
            let level = log::start(&config);
            for name in strangers {
                warn!("{name} is no setting of this server, and ignored");
            }
            if let Err(error) = run(sources, *config, &level, resp) {
                error!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Prints the settings that would be in force, as a file has them.
fn check(config: &Config) -> ExitCode {
    #[cfg(feature = "tls")]
    if let Err(error) = crate::edges::tls::Acceptor::new(config) {
        eprintln!("larder-server: {error}");
        return ExitCode::from(2);
    }
    for option in config::options::OPTIONS {
        // Who reads only the beginning has closed the pipe.
        let _ = writeln!(io::stdout(), "{} = {:?}", option.name, (option.get)(config));
    }
    ExitCode::SUCCESS
}

/// Serves until a signal says to stop.
fn run(
    sources: Sources,
    config: Config,
    level: &log::Level,
    resp: impl FnOnce(&Config, &Arc<Shared>) -> Option<Resp>,
) -> io::Result<()> {
    let wanted = config.maxclients as u64 + FILES;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(files) if files < wanted => {
            warn!("{files} files may be open: that is fewer than maxclients wants ({wanted})");
        }
        _ => {}
    }
    let options = larder::Options {
        policy: config.policy,
        // Clients of Redis and Valkey count on milliseconds.
        clock: larder::Clock::Precise,
        ..larder::Options::new(config.maxmemory)
    };
    let tracking = Tracking::new(config.tracking_table_max_keys);
    let store = Arc::new(Store::new(options, tracking).map_err(io::Error::other)?);
    let shared = Arc::new(Shared::new(store, &config));
    let resp = resp(&config, &shared);
    let mut listening = listen::bind(&config)?;
    if resp.is_none() {
        listening.retain(|listening| listening.surface != crate::edges::Surface::Resp);
    }
    if listening.is_empty() {
        return Err(io::Error::other("nothing to listen at: all ports are off"));
    }
    tell(&listening, &config);
    let workers = Workers::start(&shared, &config, resp)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listening, &workers, &shared, sources, config, level))?;
    let drain = shared.live.drain();
    info!("stopping: up to {} s for requests under way", drain.as_secs_f32());
    notify::stopping();
    shared.stop();
    workers.join(drain);
    info!("stopped");
    Ok(())
}

fn tell(listening: &[Listening], config: &Config) {
    for listening in listening {
        let tls = if listening.tls { " by TLS" } else { "" };
        info!("{} at {}{tls}", listening.surface.name(), listening.address());
        if listening.is_open_to_others() && config.requirepass.is_none() {
            warn!(
                "{} is open to other machines, and no password is set (requirepass)",
                listening.address()
            );
        }
    }
}

/// Accepts, and follows signals, until one says to stop.
async fn serve(
    listening: Vec<Listening>,
    workers: &Workers,
    shared: &Arc<Shared>,
    sources: Sources,
    mut config: Config,
    level: &log::Level,
) -> io::Result<()> {
    let mut accepting = tokio::task::JoinSet::new();
    for listening in listening {
        let hand = workers.hand_over(listening.surface, listening.tls);
        accepting.spawn(listening.accept(async move |socket| hand.give(socket).await));
    }
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // From here on signals do what they are to do.
    info!(maxmemory = config.maxmemory, "ready");
    notify::ready();
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.store.tick(),
            _ = hangup.recv() => {
                notify::reloading();
                reload::reload(&sources, &mut config, shared, workers, level);
                notify::ready();
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    // No connection is accepted from here on.
    accepting.shutdown().await;
    Ok(())
}
