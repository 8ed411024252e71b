//! The resources of the control API.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use relay_api::control::{
    Confirmed, Dtmf, Ids, MAX_BODY, MAX_IDS, Refusal, Session, SessionList, Statistics, Status,
};
use relay_api::{RelayError, SessionDescription, SessionId, SessionSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{Answer, Problem};
use super::{Control, Protection, Stage, stream};

/// Everything under `/v1`, for those that `protection` lets in at the time of the request.
pub fn router(control: Control, protection: Arc<ArcSwap<Protection>>) -> Router {
    let streams = Arc::new(Semaphore::new(MAX_STREAMS));
    let requests = Arc::new(Semaphore::new(MAX_REQUESTS));
    let events = Router::new()
        .route("/v1/events", get(stream::events).with_state((control.clone(), streams)))
        .method_not_allowed_fallback(wrong_method);
    Router::new()
        .route("/v1/sessions", get(list))
        .route("/v1/sessions/query", post(query))
        .route("/v1/sessions/confirm", post(confirm))
        .route("/v1/sessions/{id}", put(put_session).get(session).delete(delete_session))
        .route("/v1/sessions/{id}/dtmf", post(dtmf))
        .route("/v1/status", get(status))
        .route("/v1/drain", post(drain))
        .with_state(control)
        .merge(events)
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_such_resource)
        .layer(from_fn(limit_body))
        .layer(from_fn_with_state(requests, limit_requests))
        .layer(from_fn_with_state(protection, authorize))
}

async fn put_session(
    State(control): State<Control>,
    Path(id): Path<SessionId>,
    body: Body,
) -> Answer<SessionDescription> {
    let spec: SessionSpec = read(body).await?;
    if spec.id != id {
        let reason = "the ids of path and body differ".to_owned();
        return Err(RelayError::Invalid { reason }.into());
    }
    Ok(Json(control.put(spec).await?))
}

async fn delete_session(
    State(control): State<Control>,
    Path(id): Path<SessionId>,
) -> Result<Response, Problem> {
    Ok(match control.delete(id).await? {
        Some(statistics) => Json(statistics).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn session(State(control): State<Control>, Path(id): Path<SessionId>) -> Answer<Session> {
    Ok(Json(control.session(&id).await?))
}

async fn query(State(control): State<Control>, body: Body) -> Answer<Statistics> {
    let ids = read_ids(body).await?;
    Ok(Json(control.query(ids).await))
}

async fn confirm(State(control): State<Control>, body: Body) -> Answer<Confirmed> {
    let ids = read_ids(body).await?;
    Ok(Json(control.confirm(&ids)))
}

async fn dtmf(
    State(control): State<Control>,
    Path(id): Path<SessionId>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let dtmf: Dtmf = read(body).await?;
    control.dtmf(&id, dtmf).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Page {
    after: Option<SessionId>,
    limit: Option<usize>,
}

async fn list(
    State(control): State<Control>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Answer<SessionList> {
    let Query(page) = page.map_err(|rejection| malformed(rejection.body_text()))?;
    let most = page.limit.unwrap_or(MAX_IDS).clamp(1, MAX_IDS);
    Ok(Json(control.page(page.after.as_ref(), most)))
}

async fn status(State(control): State<Control>) -> Json<Status> {
    Json(control.status())
}

async fn drain(State(control): State<Control>) -> (StatusCode, Json<Status>) {
    control.advance(Stage::Draining);
    (StatusCode::ACCEPTED, Json(control.status()))
}

async fn wrong_method() -> Problem {
    Refusal::WrongMethod.into()
}

async fn no_such_resource() -> Problem {
    Refusal::NoSuchResource.into()
}

/// Before anything else is looked at.
async fn authorize(
    State(protection): State<Arc<ArcSwap<Protection>>>,
    request: Request,
    next: Next,
) -> Response {
    let is_allowed = match &protection.load().tokens {
        Some(tokens) => tokens.accept(bearer(&request)),
        None => true,
    };
    if is_allowed { next.run(request).await } else { Problem::from(Refusal::Unauthorized).into_response() }
}

/// RFC 6750 §2.1; nothing if there is none, which is judged like any other token.
fn bearer(request: &Request) -> &str {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = value.and_then(|value| value.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }
}

/// Whoever comes when it is full comes again; the stream of events counts only until it has begun.
async fn limit_requests(State(requests): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::from(Refusal::Busy).into_response(),
    }
}

/// Decided by the header where there is one, before a byte of the body is kept.
async fn limit_body(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.map(str::parse::<u64>) {
        Some(Ok(length)) if length > MAX_BODY as u64 => Problem::from(TOO_LARGE).into_response(),
        _ => next.run(request).await,
    }
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = match timeout(BODY_WITHIN, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(TOO_LARGE.into()),
        Err(_) => return Err(Refusal::TooSlow.into()),
    };
    serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))
}

async fn read_ids(body: Body) -> Result<Vec<SessionId>, Problem> {
    let Ids { ids } = read(body).await?;
    if ids.len() > MAX_IDS {
        return Err(malformed(format!("at most {MAX_IDS} ids at a time")));
    }
    Ok(ids)
}

pub(super) fn malformed(reason: String) -> Problem {
    Refusal::Malformed { reason }.into()
}

const TOO_LARGE: Refusal = Refusal::TooLarge { limit: MAX_BODY as u64 };
/// Requests under way; more are answered with 503.
const MAX_REQUESTS: usize = 256;
/// Streams of events: one for each gateway. More are answered with 503.
const MAX_STREAMS: usize = 64;
const BODY_WITHIN: Duration = Duration::from_secs(10);
