//! `GET /v1/openapi.json`: the contract as OpenAPI 3.1, for people, generated clients and testers.

mod schemas;

use std::sync::LazyLock;

use axum::Json;
use axum::http::Method;
use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation as PathOperation, OperationBuilder, Parameter as Named, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Header, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema,
};

use self::schemas::read;
use crate::contract::{Answer, Asks, EVENTS_ROUTE, OPERATIONS, Operation, Parameter};
use crate::problem::ProblemKind;
use crate::query::LIMIT_MAX;

/// What may name an agent in a path.
const NO_CONTROL_CHARACTERS: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";

const KEY: &str = "key";
const PROBLEM_MEDIA: &str = "application/problem+json";
const DESCRIPTION: &str = "\
Facts in, orders and records out. Where API keys exist (`reeve keys add`) every operation but those without `security` needs \
one, as `authorization: Bearer rvk_...`; where none exist nobody is asked, and only the machine itself can ask. A key may be \
limited to agents, to kinds, to rights and to a rate, of which a request takes one and a batch as many as it has events.\n\n\
A method that a path does not take is answered with 405, a path that is not there with 404, a head of more than 64 KiB or 100 \
headers with 431, and what is not HTTP with 400.\n\n\
Limits of texts count bytes of UTF-8, `maxLength` counts characters: a text of other letters than ASCII may be refused \
before it has so many. No time of a fact is earlier than 2000 or more than five minutes in the future.";
const BODY: &str = "\
One event (`application/cloudevents+json`), a list of at most 1,000 (`application/cloudevents-batch+json`), or one event in the \
binary form: its attributes in `ce-*` headers, its value in the body as JSON (`application/json`) or as framed Avro \
(`application/avro`). A body has at most 1 MiB, a list 8 MiB. The structured form takes a value in framed Avro as well, in \
`data_base64` with `datacontenttype: application/avro`.";

/// Answers with the contract.
pub(crate) async fn document() -> Json<&'static Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(written()).expect("the document is JSON"));
    Json(&DOCUMENT)
}

/// The contract, written from its table.
fn written() -> OpenApi {
    let mut paths = Paths::new();
    for operation in OPERATIONS {
        paths.add_path_operation(operation.path, vec![method(&operation.method)], written_operation(operation));
    }
    let key = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("rvk_<id>_<secret>").build();
    let components = ComponentsBuilder::new().security_scheme(KEY, SecurityScheme::Http(key));
    let components = schemas::all().into_iter().fold(components, |components, (name, schema)| components.schema(name, schema));
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info =
        InfoBuilder::new().title("Reeve").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION)).license(Some(license)).build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn written_operation(operation: &Operation) -> PathOperation {
    let mut written = OperationBuilder::new().operation_id(Some(operation.id)).summary(Some(operation.summary));
    written = operation.parameters.iter().fold(written, |written, parameter| written.parameter(written_parameter(*parameter)));
    if operation.asks != Asks::Nothing {
        written = written.security(SecurityRequirement::new::<_, [&str; 0], _>(KEY, []));
    }
    if operation.method == Method::POST && operation.path == EVENTS_ROUTE {
        written = written.request_body(Some(written_body()));
    }
    for answer in operation.answers {
        written = written.response(answer.status.to_string(), written_answer(answer));
    }
    let mut problems: Vec<_> = operation.every_problem().collect();
    problems.sort_by_key(|problem| problem.status());
    for problems in problems.chunk_by(|one, other| one.status() == other.status()) {
        written = written.response(problems[0].status().as_u16().to_string(), written_problems(problems));
    }
    written.build()
}

fn written_body() -> RequestBody {
    let content = |schema: Value| ContentBuilder::new().schema(Some(read(schema))).build();
    RequestBodyBuilder::new()
        .description(Some(BODY))
        .required(Some(Required::True))
        .content(wire::cloudevents::STRUCTURED, content(json!({ "$ref": "#/components/schemas/Event" })))
        .content(wire::cloudevents::BATCH, content(json!({ "$ref": "#/components/schemas/Batch" })))
        .content("application/json", content(json!({ "type": "object" })))
        .content("application/avro", content(json!({ "type": "string", "format": "binary" })))
        .build()
}

fn written_answer(answer: &Answer) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(answer.schema))).build();
    ResponseBuilder::new().description(answer.says).content(answer.media, content).build()
}

/// One answer for all problems of one status.
fn written_problems(problems: &[ProblemKind]) -> Response {
    let titles: Vec<_> = problems.iter().map(|problem| format!("`{}`: {}", problem.name(), problem.title())).collect();
    let mut response = ResponseBuilder::new()
        .description(titles.join("; "))
        .content(PROBLEM_MEDIA, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build());
    if problems.iter().any(|problem| problem.retry_after_s().is_some()) {
        response =
            response.header("retry-after", header("Whole seconds after which to come again.", json!({ "type": "integer", "minimum": 1 })));
    }
    if problems.contains(&ProblemKind::Unauthorized) {
        response =
            response.header("www-authenticate", header("RFC 6750.", json!({ "type": "string", "pattern": "^Bearer realm=\"reeve\"" })));
    }
    response.build()
}

fn header(says: &str, schema: Value) -> Header {
    HeaderBuilder::new().description(Some(says)).schema(Some(read(schema))).build()
}

fn written_parameter(parameter: Parameter) -> Named {
    let query = |name: &str, says: &str, schema: Value| named(name, ParameterIn::Query, Required::False, says, schema);
    match parameter {
        Parameter::AgentInPath => named(
            "agent",
            ParameterIn::Path,
            Required::True,
            "The agent, percent-encoded.",
            json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": NO_CONTROL_CHARACTERS }),
        ),
        Parameter::Agent => query("agent", "Only records of this agent.", json!({ "type": "string", "minLength": 1 })),
        Parameter::Kind => query("kind", "Only records of these kinds: repeated, or separated by commas.", schemas::kinds()),
        Parameter::Id => query("id", "Only records with this id.", json!({ "type": "string", "minLength": 1 })),
        Parameter::Session => query("session", "Only records of this session.", json!({ "type": "string", "minLength": 1 })),
        Parameter::From => {
            query("from", "Go on after the record that this cursor came with; `now`: with what is yet to come.", schemas::cursor())
        }
        Parameter::FromNow => query("from", "`now`: only orders that are yet to come.", json!({ "type": "string", "enum": ["now"] })),
        Parameter::Limit => query("limit", "End after so many records.", json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX })),
        Parameter::Follow => query("follow", "Go on with what is yet to come.", json!({ "type": "boolean" })),
        Parameter::Wait => query(
            "wait_s",
            "End the stream once so many seconds brought nothing new; otherwise it has no end. 0 asks for what there is.",
            json!({ "type": "integer", "minimum": 0, "maximum": crate::stream::WAIT_SECONDS_MAX }),
        ),
        Parameter::LastEventId => named(
            "last-event-id",
            ParameterIn::Header,
            Required::False,
            "The id of the order that was heard last: the stream goes on after it.",
            json!({ "type": "string", "format": "reeve-order-id" }),
        ),
    }
}

fn named(name: &str, place: ParameterIn, required: Required, says: &str, schema: Value) -> Named {
    let schema: RefOr<Schema> = read(schema);
    ParameterBuilder::new().name(name).parameter_in(place).required(required).description(Some(says)).schema(Some(schema)).build()
}

fn method(method: &Method) -> HttpMethod {
    if method == Method::POST { HttpMethod::Post } else { HttpMethod::Get }
}

#[cfg(test)]
mod tests;
