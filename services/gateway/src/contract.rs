//! What is served: every operation with what it asks for and every answer that it may give. The door asks by this table,
//! `/v1/openapi.json` is written from it, and an answer that it does not name is counted as a fault of ours.

use axum::http::Method;

use crate::keys::Right;
use crate::problem::ProblemKind;

/// Where facts are published, and the log is read.
pub(crate) const EVENTS_ROUTE: &str = "/v1/events";
/// Where the platform of an agent listens.
pub(crate) const ORDERS_ROUTE: &str = "/v1/agents/{agent}/orders";
/// Where this contract is told.
pub(crate) const OPENAPI_ROUTE: &str = "/v1/openapi.json";

/// What an operation asks of who calls it, where keys exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nothing.
    Nothing,
    /// A key, whatever its rights.
    AKey,
    /// A key with this right.
    Of(Right),
}

/// Problems of every operation: a head that is not well formed, one that is meant for another machine, a fault of ours.
const EVERYWHERE: &[ProblemKind] = &[ProblemKind::BadRequest, ProblemKind::Misdirected, ProblemKind::Broken];

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Its name for generated clients.
    pub(crate) id: &'static str,
    pub(crate) asks: Asks,
    pub(crate) summary: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) answers: &'static [Answer],
    /// Problems of its own; those of the door come to them.
    pub(crate) problems: &'static [ProblemKind],
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    AgentInPath,
    Agent,
    Kind,
    Id,
    Session,
    From,
    FromNow,
    Limit,
    Follow,
    LastEventId,
    Wait,
}

/// An answer that is no problem.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media: &'static str,
    /// Name of its schema.
    pub(crate) schema: &'static str,
    pub(crate) says: &'static str,
}

/// Every operation. What is not here is not served.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::POST,
        path: EVENTS_ROUTE,
        id: "publishEvents",
        asks: Asks::Of(Right::Publish),
        summary: "Publish facts as CloudEvents: structured, batched or binary; all of them or none",
        parameters: &[],
        answers: &[Answer {
            status: 202,
            media: "application/json",
            schema: "Receipt",
            says: "Every event stands on the log, once. The same source and id again is `repeated` and adds nothing.",
        }],
        problems: &[
            ProblemKind::Malformed,
            ProblemKind::BodyTooSlow,
            ProblemKind::IdTaken,
            ProblemKind::TooLarge,
            ProblemKind::UnsupportedType,
            ProblemKind::Refused,
            ProblemKind::Busy,
            ProblemKind::LogUnavailable,
            ProblemKind::Draining,
        ],
    },
    Operation {
        method: Method::GET,
        path: EVENTS_ROUTE,
        id: "readEvents",
        asks: Asks::Of(Right::Read),
        summary: "Read the log in the order of append, one structured CloudEvent a line; a key hears of its agents and kinds only",
        parameters: &[
            Parameter::Agent,
            Parameter::Kind,
            Parameter::Id,
            Parameter::Session,
            Parameter::From,
            Parameter::Limit,
            Parameter::Follow,
            Parameter::Wait,
        ],
        answers: &[Answer {
            status: 200,
            media: "application/x-ndjson",
            schema: "Lines",
            says: "Records, each with its place and the cursor after it. A stream that breaks off was not told whole.",
        }],
        problems: &[ProblemKind::Gone, ProblemKind::Busy, ProblemKind::LogUnavailable, ProblemKind::Draining],
    },
    Operation {
        method: Method::GET,
        path: ORDERS_ROUTE,
        id: "hearOrders",
        asks: Asks::Of(Right::Read),
        summary: "Hear what Reeve orders of one agent, as server-sent events without end",
        parameters: &[Parameter::AgentInPath, Parameter::FromNow, Parameter::Wait, Parameter::LastEventId],
        answers: &[Answer {
            status: 200,
            media: "text/event-stream",
            schema: "Stream",
            says: "Orders: `id` is `<partition>:<offset>`, `event` the kind, `data` the structured CloudEvent.",
        }],
        problems: &[ProblemKind::Gone, ProblemKind::Busy, ProblemKind::LogUnavailable, ProblemKind::Draining],
    },
    Operation {
        method: Method::GET,
        path: "/v1/status",
        id: "readStatus",
        asks: Asks::Of(Right::Read),
        summary: "How every agent stands by what each room says of it; a key hears of its agents only",
        parameters: &[],
        answers: &[Answer { status: 200, media: "application/json", schema: "Report", says: "The agents that are known." }],
        problems: &[ProblemKind::Busy],
    },
    Operation {
        method: Method::GET,
        path: "/v1/status/{agent}",
        id: "readStatusOfAgent",
        asks: Asks::Of(Right::Read),
        summary: "How one agent stands by what each room says of it",
        parameters: &[Parameter::AgentInPath],
        answers: &[Answer { status: 200, media: "application/json", schema: "Report", says: "The agent." }],
        problems: &[ProblemKind::NotFound, ProblemKind::Busy],
    },
    Operation {
        method: Method::GET,
        path: OPENAPI_ROUTE,
        id: "readContract",
        asks: Asks::Nothing,
        summary: "This document, which says nothing about this Reeve that is not true of every one of its version",
        parameters: &[],
        answers: &[Answer { status: 200, media: "application/json", schema: "Document", says: "OpenAPI." }],
        problems: &[],
    },
    Operation {
        method: Method::GET,
        path: "/livez",
        id: "isAlive",
        asks: Asks::Nothing,
        summary: "Whether the process answers",
        parameters: &[],
        answers: &[Answer { status: 200, media: "text/plain", schema: "Text", says: "It does." }],
        problems: &[],
    },
    Operation {
        method: Method::GET,
        path: "/readyz",
        id: "isReady",
        asks: Asks::Nothing,
        summary: "Whether every room has restored its state; who shows no key where keys exist hears no more than that",
        parameters: &[],
        answers: &[
            Answer { status: 200, media: "application/json", schema: "Readiness", says: "It is ready." },
            Answer { status: 503, media: "application/json", schema: "Readiness", says: "It is not ready." },
        ],
        problems: &[],
    },
    Operation {
        method: Method::GET,
        path: "/metrics",
        id: "readMetrics",
        asks: Asks::Of(Right::Metrics),
        summary: "Counters in the Prometheus text format; they are those of the whole process, not of a key's agents",
        parameters: &[],
        answers: &[Answer { status: 200, media: "text/plain", schema: "Text", says: "The counters." }],
        problems: &[],
    },
    Operation {
        method: Method::GET,
        path: "/version",
        id: "readVersion",
        asks: Asks::AKey,
        summary: "Which version runs",
        parameters: &[],
        answers: &[Answer { status: 200, media: "application/json", schema: "Version", says: "Name and version." }],
        problems: &[],
    },
];

/// What a request asks for, by the path that it matched; `None` where the contract knows no such path.
pub(crate) fn asks(path: &str, method: &Method) -> Option<Asks> {
    match operation(path, method) {
        Some(operation) => Some(operation.asks),
        // Which methods a path takes stands in the contract, and the contract is told to everybody.
        None => is_known(path).then_some(Asks::Nothing),
    }
}

/// Whether the contract names this answer.
pub(crate) fn declares(path: &str, method: &Method, status: u16) -> bool {
    match operation(path, method) {
        Some(operation) => operation.statuses().any(|declared| declared == status),
        // What is not there and what is not taken is said of every path, and no operation's answer.
        None => true,
    }
}

fn operation(path: &str, method: &Method) -> Option<&'static Operation> {
    // HEAD is GET without its body.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    OPERATIONS.iter().find(|operation| operation.path == path && operation.method == *method)
}

fn is_known(path: &str) -> bool {
    OPERATIONS.iter().any(|operation| operation.path == path)
}

// === impl Operation ===

impl Operation {
    /// Every problem that it may answer with, those of the door among them.
    pub(crate) fn every_problem(&self) -> impl Iterator<Item = ProblemKind> + use<> {
        const KEY: &[ProblemKind] = &[ProblemKind::Unauthorized, ProblemKind::Limited, ProblemKind::KeysRefused];
        let (key, right) = match self.asks {
            Asks::Nothing => (&[][..], &[][..]),
            Asks::AKey => (KEY, &[][..]),
            Asks::Of(_) => (KEY, &[ProblemKind::Forbidden][..]),
        };
        self.problems.iter().chain(key).chain(right).copied().chain(EVERYWHERE.iter().copied())
    }

    fn statuses(&self) -> impl Iterator<Item = u16> + use<> {
        let good = self.answers.iter().map(|answer| answer.status);
        good.chain(self.every_problem().map(|kind| kind.status().as_u16()))
    }
}
