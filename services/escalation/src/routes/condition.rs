//! What a condition may say: its variables, and comparisons of them with constants.

use std::collections::BTreeMap;

use cel::Program;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::Scalar;
use crate::signal::{Call, Sight};

/// Bytes of one condition.
const SOURCE_BYTES_MAX: usize = 4 << 10;
/// Brackets within brackets, and conditions within `? :`, counted before parsing; then levels of what was parsed.
const NESTING_MAX: usize = 32;

/// What a condition may ask for. Absent values are `null`: comparing one with `<` cannot be evaluated, so that a
/// condition says `sentiment != null && sentiment < -0.6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variable {
    /// `policy`, `agent_failure`, `sentiment`, `sentiment_unknown`, `confidence` or `complexity`.
    Trigger,
    /// The policy topic; absent unless `trigger` is `policy`.
    Topic,
    /// Trend of the user's sentiment, -1 to 1; absent while unknown.
    Sentiment,
    /// The confidence that the agent stated last, 0 to 1; absent while it stated none.
    Confidence,
    /// The session's segment, as its platform names it; absent if it does not.
    Segment,
    /// The channel that it came in by.
    Channel,
    /// The user's language, the first subtag in lower case.
    Language,
    /// Steps that the agent took.
    Steps,
    /// Distinct tools that it used.
    Systems,
    /// Calls that it repeated after a failure.
    Retries,
    /// Its calls that failed in a row.
    Failures,
}

/// What kind of value a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Text,
    Real,
    Count,
}

/// The constants that each variable is compared with.
pub(super) type Constants = BTreeMap<Variable, Vec<Scalar>>;

// === impl Variable ===

impl Variable {
    pub(super) const ALL: [Self; 11] = [
        Self::Trigger,
        Self::Topic,
        Self::Sentiment,
        Self::Confidence,
        Self::Segment,
        Self::Channel,
        Self::Language,
        Self::Steps,
        Self::Systems,
        Self::Retries,
        Self::Failures,
    ];

    /// Its name in conditions.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Topic => "topic",
            Self::Sentiment => "sentiment",
            Self::Confidence => "confidence",
            Self::Segment => "segment",
            Self::Channel => "channel",
            Self::Language => "language",
            Self::Steps => "steps",
            Self::Systems => "systems",
            Self::Retries => "retries",
            Self::Failures => "failures",
        }
    }

    pub(super) fn domain(self) -> Domain {
        match self {
            Self::Trigger | Self::Topic | Self::Segment | Self::Channel | Self::Language => Domain::Text,
            Self::Sentiment | Self::Confidence => Domain::Real,
            Self::Steps | Self::Systems | Self::Retries | Self::Failures => Domain::Count,
        }
    }

    /// Whether it may be absent: what is counted is not, for nothing seen is none seen.
    pub(super) fn may_be_absent(self) -> bool {
        self != Self::Trigger && self.domain() != Domain::Count
    }

    /// Its value for a call.
    pub(super) fn of(self, call: &Call, sight: &Sight) -> Scalar {
        let text = |text: &Option<String>| text.clone().map_or(Scalar::Absent, Scalar::Text);
        let real = |real: Option<f64>| real.map_or(Scalar::Absent, Scalar::Real);
        match self {
            Self::Trigger => Scalar::Text(call.trigger.as_str().to_owned()),
            Self::Topic => text(&call.topic),
            Self::Sentiment => real(sight.sentiment),
            Self::Confidence => real(sight.confidence),
            Self::Segment => text(&sight.segment),
            Self::Channel => text(&sight.channel),
            Self::Language => text(&sight.language),
            Self::Steps => Scalar::Count(i64::from(sight.steps)),
            Self::Systems => Scalar::Count(i64::from(sight.systems)),
            Self::Retries => Scalar::Count(i64::from(sight.retries)),
            Self::Failures => Scalar::Count(i64::from(sight.failures)),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.as_str() == name)
    }
}

/// Compiles a condition.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub(super) fn compile(source: &str) -> Result<Program, Vec<String>> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(vec![format!("its condition has {} bytes, and may have {SOURCE_BYTES_MAX}", source.len())]);
    }
    if nesting(source) > NESTING_MAX {
        return Err(vec![format!("its condition is nested deeper than {NESTING_MAX}")]);
    }
    let program = Program::compile(source).map_err(|error| vec![format!("its condition is no CEL: {}", one_line(&error.to_string()))])?;
    let mut faults = unknown(&program);
    if faults.is_empty() {
        truth(program.expression(), 0, &mut faults);
    }
    if faults.is_empty() { Ok(program) } else { Err(faults) }
}

/// The constants that the variables of a compiled condition are compared with.
pub(super) fn constants(program: &Program) -> Constants {
    let mut found = Constants::new();
    collect(program.expression(), &mut found);
    found
}

/// Levels of brackets, and of `?`, whatever they stand in: more than there are is no harm.
fn nesting(source: &str) -> usize {
    let (mut open, mut deepest, mut choices) = (0_usize, 0, 0);
    for letter in source.bytes() {
        match letter {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'?' => choices += 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest + choices
}

/// Names that a condition may not use.
fn unknown(program: &Program) -> Vec<String> {
    const ALLOWED: [&str; 12] = [
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::CONDITIONAL,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::LESS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::GREATER_EQUALS,
        operators::IN,
        operators::NEGATE,
    ];
    let references = program.references();
    let variables = references.variables().into_iter().filter(|name| Variable::named(name).is_none());
    let variables =
        variables.map(|name| format!("there is no variable `{name}`; there are {}", Variable::ALL.map(Variable::as_str).join(", ")));
    let functions = references.functions().into_iter().filter(|name| !ALLOWED.contains(name));
    let functions = functions.map(|name| format!("`{name}` may not be used: a condition compares variables with constants"));
    let mut faults: Vec<String> = variables.chain(functions).collect();
    faults.sort();
    faults
}

/// Checks an expression that must be true or false.
fn truth(expression: &IdedExpr, depth: usize, faults: &mut Vec<String>) {
    if depth > NESTING_MAX {
        return faults.push(format!("its condition is nested deeper than {NESTING_MAX}; `in [...]` says a row of `||` shorter"));
    }
    match &expression.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => {}
        Expr::Call(call) if is_connective(call) => call.args.iter().for_each(|part| truth(part, depth + 1, faults)),
        Expr::Call(call) => match comparison(call) {
            Some((variable, constants)) => {
                faults.extend(constants.iter().find_map(|constant| variable.refuse(call, constant)));
            }
            None => faults.push("a comparison has a variable on one side and a constant on the other".to_owned()),
        },
        _ => faults.push("a condition is made of comparisons, `true` and `false`".to_owned()),
    }
}

fn collect(expression: &IdedExpr, found: &mut Constants) {
    let Expr::Call(call) = &expression.expr else { return };
    match comparison(call) {
        Some((variable, constants)) => found.entry(variable).or_default().extend(constants),
        None => call.args.iter().for_each(|part| collect(part, found)),
    }
}

fn is_connective(call: &CallExpr) -> bool {
    [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::LOGICAL_NOT, operators::CONDITIONAL].contains(&call.func_name.as_str())
}

/// The variable and the constants of a comparison, if it is one.
fn comparison(call: &CallExpr) -> Option<(Variable, Vec<Scalar>)> {
    let [left, right] = call.args.as_slice() else { return None };
    if is_connective(call) {
        return None;
    }
    match (variable(left), variable(right)) {
        (Some(variable), None) => Some((variable, constants_of(right, call.func_name == operators::IN)?)),
        (None, Some(variable)) if call.func_name != operators::IN => Some((variable, constants_of(left, false)?)),
        _ => None,
    }
}

fn variable(expression: &IdedExpr) -> Option<Variable> {
    match &expression.expr {
        Expr::Ident(name) => Variable::named(name),
        _ => None,
    }
}

fn constants_of(expression: &IdedExpr, is_list: bool) -> Option<Vec<Scalar>> {
    match &expression.expr {
        Expr::List(list) if is_list => list.elements.iter().map(constant).collect(),
        _ if is_list => None,
        _ => constant(expression).map(|constant| vec![constant]),
    }
}

fn constant(expression: &IdedExpr) -> Option<Scalar> {
    match &expression.expr {
        Expr::Literal(LiteralValue::Null) => Some(Scalar::Absent),
        Expr::Literal(LiteralValue::Int(whole)) => Some(Scalar::Count(*whole.inner())),
        Expr::Literal(LiteralValue::Double(real)) => Some(Scalar::Real(*real.inner())),
        Expr::Literal(LiteralValue::String(text)) => Some(Scalar::Text(text.inner().to_owned())),
        Expr::Call(call) if call.func_name == operators::NEGATE => match constant(call.args.first()?)? {
            Scalar::Count(whole) => whole.checked_neg().map(Scalar::Count),
            Scalar::Real(real) => Some(Scalar::Real(-real)),
            _ => None,
        },
        _ => None,
    }
}

impl Variable {
    /// What is wrong with comparing it with `constant`.
    fn refuse(self, call: &CallExpr, constant: &Scalar) -> Option<String> {
        let is_order = ![operators::EQUALS, operators::NOT_EQUALS, operators::IN].contains(&call.func_name.as_str());
        let fits = match (constant, self.domain()) {
            (Scalar::Absent, _) => !is_order && self.may_be_absent(),
            (Scalar::Text(_), domain) => domain == Domain::Text && !is_order,
            (Scalar::Count(_) | Scalar::Real(_), domain) => domain != Domain::Text,
        };
        let expected = match self.domain() {
            Domain::Text => "is compared by ==, != or `in` with texts",
            Domain::Real | Domain::Count => "is compared with numbers",
        };
        if let (Self::Language, Scalar::Text(tag)) = (self, constant)
            && !is_primary_subtag(tag)
        {
            return Some(format!("`language` is a first subtag in lower case, as `en`, and never {tag:?}"));
        }
        let absent = if self.may_be_absent() { " and, by == or !=, with null" } else { "" };
        (!fits).then(|| format!("`{}` {expected}{absent}", self.as_str()))
    }
}

/// BCP 47: two to eight letters, in the case that the room puts them in.
fn is_primary_subtag(tag: &str) -> bool {
    (2..=8).contains(&tag.len()) && tag.bytes().all(|letter| letter.is_ascii_lowercase())
}

fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS_MAX).collect()
}
