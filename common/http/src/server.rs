//! Listening, serving and leaving.
//!
//! Leaving (docs/adr/0005-edge.md) loses no request of an accepted connection:
//!
//! 1. `/readyz` fails and every response closes its connection; connections are taken until the load balancers have
//!    noticed.
//! 2. The kernel refuses new connections (`refuse`); those that it has already are still taken and answered.
//! 3. Once no request has come while this process looked twenty times (`QUIET`), and no client stands still in the middle of
//!    one, the connections that are left are idle. Only now actix may stop: it drops at once what it has taken and not yet
//!    read from, and closes the listener's queue with resets.
//! 4. When the last connection is closed, or the grace is over, [`Server::run`] returns, and the store can be closed.

use crate::access::Access;
use crate::config::ServerOptions;
use crate::connection::{LINGER, SLICE};
use crate::edge::{Edge, not_found};
use crate::exit::StartError;
use crate::gate::{self, Gate};
use crate::stream::Stream;
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use actix_web::{App, Error, web};
use futures_util::future::BoxFuture;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use std::future::ready;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
#[cfg(target_os = "linux")]
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{self, Signal, SignalKind};

/// Connections that wait to be taken; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;
/// After so many looks ([`TICK`]) without a request no worker has an unread one: each polls all its sockets many times in
/// between. They are counted and not timed, since time also passes where the machine stands still and nobody polls.
const QUIET: u32 = 20;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a leaving process waits for a client that stands still in the middle of a request.
const STALLED: Duration = Duration::from_secs(1);
/// Bytes that the kernel keeps of a connection beyond what is on its way.
#[cfg(target_os = "linux")]
const KEPT_UNSENT: u32 = 64 * 1024;
/// How long what is on its way may stay unacknowledged: then the client's machine is gone, or does not read.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// How often leaving looks whether it is done.
const TICK: Duration = Duration::from_millis(5);

/// Why a process leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// SIGTERM: an orchestrator is replacing this pod; load balancers still send to it.
    Terminated,
    /// Ctrl-C, or a test: nobody needs to notice.
    Now,
}

/// Completes on SIGTERM or Ctrl-C. Both are caught from this call on, and not from the first poll: a signal that comes
/// between the two would end the process at once. Must be called on a Tokio runtime.
pub fn signal() -> impl Future<Output = Leave> {
    let (mut term, mut int) = (catch(SignalKind::terminate()), catch(SignalKind::interrupt()));
    async move {
        tokio::select! {
            () = heard(&mut term) => Leave::Terminated,
            () = heard(&mut int) => Leave::Now,
        }
    }
}

fn catch(kind: SignalKind) -> Option<Signal> {
    unix::signal(kind).inspect_err(|e| log::error!("{kind:?} cannot be caught: {e}")).ok()
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Opens a port; port 0 takes a free one. `::` is every address of the machine: both families, or IPv4 where the machine has
/// no IPv6.
///
/// # Errors
/// Exit code 69 with the address, the reason and what to do; 64 for a host that is none.
pub fn listen(host: &str, port: u16, option: &str) -> Result<TcpListener, StartError> {
    let address =
        (host, port).to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(|| {
            StartError::new(64, format!("--host (HOST): {host} is not an address of this machine"))
        })?;
    listen_by(address, open).map_err(|e| {
        let hint = match e.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; something listens there already: stop it, or choose another port with"
            }
            _ => "; choose another port with",
        };
        StartError::new(69, format!("cannot listen on {address}: {e}{hint} {option}"))
    })
}

/// Opens an address; where that is `::` and the machine has no IPv6, `0.0.0.0`.
fn listen_by<T>(address: SocketAddr, open: impl Fn(SocketAddr) -> std::io::Result<T>) -> std::io::Result<T> {
    open(address).or_else(|e| {
        // switched off at the kernel's start, or later
        let no_family = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(|e| Some(e.raw_os_error()));
        if address.ip() == Ipv6Addr::UNSPECIFIED && no_family.contains(&e.raw_os_error()) {
            log::info!("this machine has no IPv6 ({e}): listening on IPv4 alone");
            open((Ipv4Addr::UNSPECIFIED, address.port()).into())
        } else {
            Err(e)
        }
    })
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // whatever net.ipv6.bindv6only says
        socket.set_only_v6(false)?;
    }
    // a restart must not wait for the old connections' TIME_WAIT
    socket.set_reuse_address(true)?;
    // each connection inherits these
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        // the kernel keeps little of an answer that is not read
        socket.set_tcp_notsent_lowat(KEPT_UNSENT)?;
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A route table inside the one middleware: what every listener serves.
pub fn app<F: FnOnce(&mut ServiceConfig) + 'static>(
    edge: Arc<Edge>,
    routes: F,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
        Future: 'static,
    >,
> {
    App::new()
        // a port whose routes say nothing else lets everybody in
        .app_data(Access::open())
        .wrap(from_fn(move |req, next| {
            let edge = Arc::clone(&edge);
            async move { edge.handle(req, next).await }
        }))
        .configure(routes)
        .default_service(web::to(not_found))
}

fn let_in(io: TcpStream, gate: &Arc<Gate>) -> Result<(Stream, Option<SocketAddr>), DispatchError> {
    let place = gate.admit().ok_or(DispatchError::DisconnectTimeout)?;
    let peer = io.peer_addr().ok();
    Ok((Stream::new(io, Arc::clone(gate), place), peer))
}

type Routes = dyn Fn(&mut ServiceConfig) + Send + Sync;

/// A few HTTP listeners that start and leave together.
pub struct Server {
    edge: Arc<Edge>,
    workers: usize,
    drain: Duration,
    grace: Duration,
    client_time: Duration,
    max_connections: Option<u32>,
    gates: Vec<Arc<Gate>>,
    listeners: Vec<Socket>,
    running: Vec<actix_web::dev::Server>,
}

impl Server {
    /// Nothing listens yet.
    pub fn new(options: &ServerOptions, edge: Arc<Edge>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            edge,
            workers: options.workers.map_or(cores, usize::from),
            drain: Duration::from_secs(options.drain_seconds),
            grace: Duration::from_secs(options.grace_seconds),
            client_time: Duration::from_secs(options.client_seconds),
            max_connections: options.max_connections,
            gates: Vec::new(),
            listeners: Vec::new(),
            running: Vec::new(),
        }
    }

    /// Serves a route table on a listener, from when [`Server::run`] is polled.
    ///
    /// # Errors
    /// Exit code 69 where the listener cannot be used.
    pub fn serve<F>(&mut self, listener: TcpListener, routes: F) -> Result<(), StartError>
    where
        F: Fn(&mut ServiceConfig) + Send + Sync + 'static,
    {
        self.serve_routes(listener, Arc::new(routes))
    }

    /// Not generic, so that it is compiled once, in this crate, at this crate's optimisation level.
    fn serve_routes(&mut self, listener: TcpListener, routes: Arc<Routes>) -> Result<(), StartError> {
        let unusable = |e| StartError::new(69, format!("cannot serve: {e}"));
        let loopback = address(&listener)?.ip().is_loopback();
        let most = gate::most(self.max_connections, gate::raise_file_limit(), self.workers)?;
        let gate = Arc::new(Gate::new(most, self.client_time, loopback, Arc::clone(self.edge.tally())));
        self.gates.push(Arc::clone(&gate));
        self.listeners.push(listener.try_clone().map_err(unusable)?.into());
        let edge = Arc::clone(&self.edge);
        let builder = actix_server::Server::build()
            .workers(self.workers)
            .max_concurrent_connections(gate::each_worker(most, self.workers))
            .shutdown_timeout(self.grace.as_secs())
            .disable_signals();
        let leaving = builder.graceful_shutdown_signal();
        let service = move || {
            let (routes, leaving, gate) = (Arc::clone(&routes), leaving.clone(), Arc::clone(&gate));
            let app = app(Arc::clone(&edge), move |c: &mut ServiceConfig| routes(c));
            let app = app.into_factory().map_err(|e: Error| e.error_response());
            let http = HttpService::build()
                .keep_alive(KEEP_ALIVE)
                // the stream has deadlines of its own
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(LINGER)
                .h1_allow_half_closed(true)
                .h1_write_buffer_size(SLICE)
                .graceful_shutdown_signal(move || {
                    let leaving = leaving.clone();
                    async move { leaving.notified().await }
                })
                .on_connect_ext(|stream: &Stream, data| {
                    data.insert(Arc::clone(stream.connection()));
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(move |io: TcpStream| ready(let_in(io, &gate))).and_then(http)
        };
        self.running.push(builder.listen("http", listener, service).map_err(unusable)?.run());
        Ok(())
    }

    /// Serves until `leave` completes, then leaves; ends when the last request has been answered or the grace is over.
    ///
    /// # Errors
    /// Exit code 74 where a listener failed.
    pub fn run(
        self,
        leave: impl Future<Output = Leave> + Send + 'static,
    ) -> BoxFuture<'static, Result<Leave, StartError>> {
        Box::pin(self.run_until(Box::pin(leave)))
    }

    async fn run_until(self, mut leave: BoxFuture<'static, Leave>) -> Result<Leave, StartError> {
        let handles: Vec<_> = self.running.iter().map(actix_web::dev::Server::handle).collect();
        let mut servers = tokio::task::JoinSet::new();
        for server in self.running {
            servers.spawn(server);
        }
        let why = tokio::select! {
            why = &mut leave => why,
            ended = servers.join_next() => {
                return Err(StartError::new(74, format!("a listener ended by itself: {ended:?}")));
            }
        };
        self.edge.leave();
        if why == Leave::Terminated {
            log::info!("leaving: not ready, connections are taken for {} s more", self.drain.as_secs());
            tokio::time::sleep(self.drain).await;
        }
        let deadline = Instant::now() + self.grace;
        self.listeners.iter().for_each(refuse);
        quiet(&self.edge, &self.gates, deadline).await;
        // these clones would keep the port open
        drop(self.listeners);
        let stopped = futures_util::future::join_all(handles.iter().map(|h| h.stop(true)));
        tokio::select! {
            _ = stopped => {}
            // actix itself looks once a second only
            () = closed(&self.edge, &self.gates, deadline) => {}
        }
        servers.shutdown().await;
        Ok(why)
    }
}

/// Makes the kernel refuse new connections to a listener, while those that it has begun go on into its queue.
///
/// Closing the listener, or shutting it down, would reset every connection in its queue, whose clients may have sent
/// requests already. A listener that is bound to an interface is found by what comes in there only; a connection, begun
/// or whole, keeps the interface that it began with, which was any. No interface has this index, and a first binding
/// needs no capability, which a packet filter on a TCP socket does (Linux 7.1, and 6.1 and later with fixes of June 2026).
fn refuse(listener: &Socket) {
    #[cfg(target_os = "linux")]
    if let Err(e) = listener.bind_device_by_index_v4(NonZeroU32::new(i32::MAX.unsigned_abs())) {
        log::warn!("leaving: a connection that comes from now on may be reset, with the request in it: {e}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

/// Waits until no request has been at work, and none has come, for [`QUIET`] looks.
async fn quiet(edge: &Edge, gates: &[Arc<Gate>], deadline: Instant) {
    let (mut looks, mut seen) = (0, None);
    while Instant::now() < deadline && looks < QUIET {
        let now = edge.idle();
        looks = if now.is_some() && now == seen { looks + 1 } else { 0 };
        seen = now;
        gates.iter().for_each(|gate| gate.cut_stalled(STALLED));
        tokio::time::sleep(TICK).await;
    }
}

/// Waits until every connection is closed.
async fn closed(edge: &Edge, gates: &[Arc<Gate>], deadline: Instant) {
    while Instant::now() < deadline && edge.connections() > 0 {
        gates.iter().for_each(|gate| gate.cut_stalled(STALLED));
        tokio::time::sleep(TICK).await;
    }
}

/// The address of a listener, with the port that it was given.
///
/// # Errors
/// Exit code 69 where the socket is none.
pub fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|e| StartError::new(69, format!("a listener without an address: {e}")))
}

/// Runs a process's main future on a runtime of its own.
///
/// # Errors
/// The future's; exit code 71 where the threads cannot be made.
pub fn block_on<T>(future: impl Future<Output = Result<T, StartError>>) -> Result<T, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| StartError::new(71, format!("cannot start the runtime: {e}")))?
        .block_on(future)
}

/// Runs something that waits for the disk, off the runtime's threads.
///
/// # Errors
/// The closure's; exit code 70 where it panicked.
pub async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(f).await.map_err(|e| StartError::new(70, format!("a bug: {e}")))?
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    use std::io::{ErrorKind, Read, Write};
    use std::net::Shutdown;
    use std::net::TcpStream;

    #[test]
    fn every_address_is_ipv4_alone_where_there_is_no_ipv6() {
        let opened = |host: &str, error: Errno| {
            let open = |address: SocketAddr| {
                if address.is_ipv6() { Err(error.into()) } else { Ok(address.to_string()) }
            };
            listen_by((host.parse::<std::net::IpAddr>().unwrap(), 7).into(), open)
        };
        assert_eq!(opened("::", Errno::AFNOSUPPORT).unwrap(), "0.0.0.0:7");
        assert_eq!(opened("::", Errno::ADDRNOTAVAIL).unwrap(), "0.0.0.0:7");
        assert_eq!(opened("::", Errno::ADDRINUSE).unwrap_err().kind(), ErrorKind::AddrInUse);
        // somebody asked for IPv6 by name
        let one = opened("::1", Errno::AFNOSUPPORT).unwrap_err();
        assert_eq!(one.raw_os_error(), Some(Errno::AFNOSUPPORT.raw_os_error()));
    }

    #[test]
    fn every_address_is_both_families() {
        let listener = listen("::", 0, "--port").unwrap();
        let port = address(&listener).unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }

    #[test]
    fn new_connections_are_refused_and_queued_ones_answered_without_any_capability() {
        let none = CapabilitySet::empty();
        // of this thread only
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
            .unwrap();
        for host in ["127.0.0.1", "0.0.0.0"] {
            let listener = listen(host, 0, "--port").unwrap();
            let port = address(&listener).unwrap().port();
            let connect = || TcpStream::connect(("127.0.0.1", port));
            let mut queued: Vec<_> = (0..50).map(|_| connect().unwrap()).collect();
            for client in &mut queued[..25] {
                client.write_all(b"before").unwrap();
            }
            refuse(&listener.try_clone().unwrap().into());
            assert_eq!(connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);
            for client in &mut queued[25..] {
                client.write_all(b"behind").unwrap();
            }
            for client in &mut queued {
                client.shutdown(Shutdown::Write).unwrap();
                let (mut taken, _) = listener.accept().unwrap();
                let mut asked = String::new();
                taken.read_to_string(&mut asked).unwrap();
                assert!(["before", "behind"].contains(&asked.as_str()), "{asked}");
                taken.write_all(asked.as_bytes()).unwrap();
            }
            drop(listener);
            for (n, client) in queued.iter_mut().enumerate() {
                let mut answered = String::new();
                client.read_to_string(&mut answered).unwrap();
                assert_eq!(answered, if n < 25 { "before" } else { "behind" });
            }
        }
    }
}
