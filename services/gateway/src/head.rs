//! What HTTP/1.1 asks of the head of a request, where its parser lets more pass. Whoever stands between a client and this
//! gateway reads the same head: what two readers could take for two requests is taken for none.

use axum::extract::Request;
use axum::http::{HeaderMap, Version, header};

use crate::problem::{Fault, Problem, ProblemKind};

/// The one transfer coding that there is.
const CHUNKED: &[u8] = b"chunked";

/// Refuses a head that is not well formed.
///
/// # Errors
/// 400.
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    check_host(request.version(), request.headers())?;
    check_coding(request.headers())
}

/// RFC 9112, 3.2: exactly one.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get_all(header::HOST).iter().count() {
        0 if version >= Version::HTTP_11 => Err(bad("host", "missing", "a request says whom it asks")),
        0 | 1 => Ok(()),
        _ => Err(bad("host", "malformed", "the header is given twice")),
    }
}

/// A body that is compressed on its way would be taken for what it is not.
fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(CHUNKED) => Ok(()),
        _ => Err(bad("transfer-encoding", "unsupported", "bodies come as they are, or in chunks")),
    }
}

fn bad(field: &str, code: &'static str, detail: &str) -> Problem {
    Problem::of(ProblemKind::BadRequest, Fault::new(field, code, detail))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_request_names_one_host_and_no_coding_but_chunks() {
        let good: &[&[(&str, &str)]] = &[&[("host", "a")], &[("host", "")], &[("host", "a"), ("transfer-encoding", " Chunked ")]];
        let bad: &[&[(&str, &str)]] = &[
            &[],
            &[("host", "a"), ("host", "a")],
            &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
            &[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("host", "a"), ("transfer-encoding", "")],
        ];
        assert!(good.iter().all(|headers| check(&asking(Version::HTTP_11, headers)).is_ok()));
        assert!(bad.iter().all(|headers| check(&asking(Version::HTTP_11, headers)).is_err()));
        assert!(check(&asking(Version::HTTP_10, &[])).is_ok(), "the old version has no such header");
    }

    fn asking(version: Version, headers: &[(&str, &str)]) -> Request {
        let request = Request::builder().version(version);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).expect("a request")
    }
}
