//! The one door to CEL: the conditions of routes, compiled when a policy is adopted and asked when a session calls.
//!
//! A condition compares variables with constants, and joins comparisons by `&&`, `||`, `!` and `? :`. Arithmetic,
//! functions and comprehensions are refused. So a condition costs what its text costs, and whether a route can ever
//! match is decided exactly (`reach`), not guessed.

mod condition;
mod reach;

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value};

use crate::policy::{Policy, Route};
use crate::signal::{Call, Sight};

use condition::Variable;

/// Stack of the thread that compiles: the parser descends once per sign of a row of `!` or `-`, and a room's own thread
/// need not be made for that.
const COMPILER_STACK_BYTES: usize = 16 << 20;

/// The compiled conditions of a policy's routes, in their order. Derived from the policy, never stored.
#[derive(Debug)]
pub(crate) struct Conditions(Vec<Program>);

/// The route that a call takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Taken {
    /// Its place in the policy.
    pub(crate) place: usize,
    /// The first condition before it that could not be evaluated, if any, and how many could not.
    pub(crate) failed: Option<(usize, u64)>,
}

/// What a variable holds: absent is a value of its own, CEL's `null`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Absent,
    Count(i64),
    Real(f64),
    Text(String),
}

// === impl Conditions ===

impl Conditions {
    /// Compiles the conditions of routes.
    ///
    /// # Errors
    /// Every condition that cannot be compiled or says what may not be said, with its route.
    pub(crate) fn of(policy: &Policy) -> Result<Self, Vec<String>> {
        let sources: Vec<String> = policy.routes.iter().map(|route| route.when.clone()).collect();
        let compiled = on_own_stack(move || sources.iter().map(|source| condition::compile(source)).collect::<Vec<_>>())?;
        let mut programs = Vec::new();
        let mut faults = Vec::new();
        for (compiled, route) in compiled.into_iter().zip(&policy.routes) {
            match compiled {
                Ok(program) => programs.push(program),
                Err(found) => faults.extend(found.into_iter().map(|fault| format!("route {}: {fault}", route.name))),
            }
        }
        if faults.is_empty() { Ok(Self(programs)) } else { Err(faults) }
    }

    /// Every route that can never be taken, with the routes that shadow it.
    pub(crate) fn unreachable(&self, policy: &Policy) -> Vec<String> {
        reach::faults(self, policy)
    }

    /// The first route whose condition holds. One that cannot be evaluated does not hold.
    pub(crate) fn take(&self, call: &Call, sight: &Sight) -> Taken {
        let context = context(Variable::ALL.into_iter().map(|variable| (variable, variable.of(call, sight))));
        let mut failed: Option<(usize, u64)> = None;
        for (place, program) in self.0.iter().enumerate() {
            match holds(program, &context) {
                Some(true) => return Taken { place, failed },
                Some(false) => {}
                None => failed = Some(failed.map_or((place, 1), |(first, count)| (first, count + 1))),
            }
        }
        // The last route's condition is `true`, or the policy would have been refused.
        Taken { place: self.0.len().saturating_sub(1), failed }
    }
}

/// Whether a condition holds; `None`: it cannot be evaluated, or is no truth value.
fn holds(program: &Program, context: &Context<'_, '_>) -> Option<bool> {
    match program.execute(context) {
        Ok(Value::Bool(holds)) => Some(holds),
        _ => None,
    }
}

fn context(values: impl Iterator<Item = (Variable, Scalar)>) -> Context<'static, 'static> {
    /// No functions: operators are the interpreter's own.
    static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::default()));
    let mut context = Context::with_env(Arc::clone(&ENV));
    values.for_each(|(variable, value)| context.add_variable_from_value(variable.as_str(), Value::from(value)));
    context
}

impl From<Scalar> for Value {
    fn from(value: Scalar) -> Self {
        match value {
            Scalar::Absent => Self::Null,
            Scalar::Count(count) => Self::Int(count),
            Scalar::Real(real) => Self::Float(real),
            Scalar::Text(text) => Self::from(text),
        }
    }
}

/// Runs `f` on a thread with a large stack; a panic of the parser is a fault of what it was given.
///
/// # Panics
/// If there is no thread to be had. That is no fault of the policy: whether a record is adopted must not hang on the
/// process that folds it, so one that cannot tell ends, as one without memory does.
fn on_own_stack<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, Vec<String>> {
    let compiler = std::thread::Builder::new().name("conditions".to_owned()).stack_size(COMPILER_STACK_BYTES);
    let running = compiler.spawn(f).expect("a thread to compile conditions on");
    running.join().map_err(|_| vec!["routes: the parser gave up on a condition".to_owned()])
}

/// The name of a route for people.
fn called(route: &Route) -> String {
    format!("`{}`", route.name)
}

#[cfg(test)]
mod tests;
