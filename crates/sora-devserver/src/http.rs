//! HTTP: the upgrade at `/signaling`, the page at `/`, what the page polls, and the API.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use sora_transport::websocket::WebSocket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::api::{self, ApiError};
use crate::close_notify::CloseNotify;
use crate::{Shared, participant};

const PAGE: &str = include_str!("page.html");
/// A caller that does not send its body keeps no connection longer.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// The same for its header.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// And for the TLS handshake before it.
const TLS_LIMIT: Duration = Duration::from_secs(10);
/// A file descriptor limit is reached: wait for some to come free instead of spinning.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

type Reply = Response<Full<Bytes>>;

pub(crate) async fn serve_signaling(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    serve(listener, tls, shared, |shared, request| async move { signaling(&shared, request) }).await;
}

pub(crate) async fn serve_api(listener: TcpListener, shared: Arc<Shared>) {
    serve(listener, None, shared, |shared, request| async move {
        match api_call(&shared, request).await {
            Ok(answer) => reply(StatusCode::OK, "application/json", answer.to_string()),
            Err(error) => reply(error.status(), "application/json", error.to_json().to_string()),
        }
    })
    .await;
}

async fn api_call(shared: &Shared, request: Request<Incoming>) -> Result<Value, ApiError> {
    if request.method() != Method::POST {
        return Err(ApiError::MethodNotAllowed);
    }
    let target = request.headers().get("x-sora-target").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(request.into_body(), api::MAX_BODY).collect();
    let body = tokio::time::timeout(BODY_LIMIT, body).await.map_err(|_| ApiError::BodyTimeout)?;
    let body = body.map_err(|_| ApiError::BodyTooLarge)?.to_bytes();
    api::call(shared, target.as_deref(), &body).await
}

async fn serve<F, R>(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, handler: F)
where
    F: Fn(Arc<Shared>, Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    loop {
        let tcp = match listener.accept().await {
            Ok((tcp, _)) => tcp,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let (tls, shared, handler) = (tls.clone(), shared.clone(), handler.clone());
        tokio::spawn(async move {
            let answer = move |request| handler(shared.clone(), request);
            let Some(tls) = tls else { return converse(tcp, answer).await };
            match tokio::time::timeout(TLS_LIMIT, tls.accept(tcp)).await {
                Ok(Ok(stream)) => converse(CloseNotify::new(stream), answer).await,
                Ok(Err(error)) => tracing::info!(%error, "TLS handshake"),
                Err(_) => tracing::info!("TLS handshake not finished in time"),
            }
        });
    }
}

/// Speaks HTTP on one connection until it ends or becomes a WebSocket.
async fn converse<F, R>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, answer: F)
where
    F: Fn(Request<Incoming>) -> R,
    R: Future<Output = Reply>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "HTTP connection");
    }
}

fn signaling(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Reply {
    let upgrade =
        request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if upgrade {
        let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() else {
            return reply(StatusCode::BAD_REQUEST, "text/plain", "Sec-WebSocket-Key is missing");
        };
        let shared = shared.clone();
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            match upgraded.await {
                Ok(upgraded) => {
                    let websocket = WebSocket::accept_upgraded(TokioIo::new(upgraded)).await;
                    participant::serve(shared, websocket).await;
                }
                Err(error) => tracing::debug!(%error, "upgrade"),
            }
        });
        let mut response = reply(StatusCode::SWITCHING_PROTOCOLS, "text/plain", "");
        let headers = response.headers_mut();
        headers.clear();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        return response;
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => reply(StatusCode::OK, "text/html; charset=utf-8", PAGE),
        (&Method::GET, "/channels.json") => {
            reply(StatusCode::OK, "application/json", api::channels(shared).to_string())
        }
        _ => reply(StatusCode::NOT_FOUND, "text/plain", "signaling is at /signaling, the page at /"),
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
