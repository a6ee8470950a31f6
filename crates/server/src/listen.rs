//! Our own accept loop: `axum::serve` has neither a limit on headers' time nor on connections.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::client::Peer;

/// What one listener allows.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; more wait in the operating system's queue.
    pub(crate) connections: usize,
    /// From connecting, or from the last answer, to the end of a request's headers; also for a TLS handshake.
    pub(crate) header: Duration,
    /// For running requests to finish once the server stops.
    pub(crate) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, header: Duration::from_secs(10), drain: Duration::from_secs(25) }
    }
}

/// Accepts until `stopped`, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.header);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(128);
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("never closed");
            (place, listener.accept().await)
        };
        let (place, stream, address) = tokio::select! {
            () = asked_to_stop(&mut stopped) => break,
            Some(_) = connections.join_next() => continue,
            (place, accepted) = accepted => match accepted {
                Ok((stream, address)) => (place, stream, address),
                Err(error) => {
                    // Out of file descriptors, mostly: others will finish, and then there are some again.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (tls, router, http, watcher) = (tls.clone(), router.clone(), http.clone(), graceful.watcher());
        connections.spawn(async move {
            let _place = place;
            metrics::gauge!("gloaming_connections").increment(1);
            match tls {
                Some(tls) => {
                    let handshake = tokio::time::timeout(limits.header, tls.accept(stream));
                    if let Ok(Ok(stream)) = handshake.await {
                        converse(stream, Peer { address, tls: true }, router, http, watcher).await;
                    }
                }
                None => converse(stream, Peer { address, tls: false }, router, http, watcher).await,
            }
            metrics::gauge!("gloaming_connections").decrement(1);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
    connections.shutdown().await;
}

/// Comes true once; a sender that is gone means the same.
async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn converse<S>(
    stream: S,
    peer: Peer,
    router: Router,
    http: Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    // What a client does to its own connection is its own affair.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
