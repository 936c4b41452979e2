//! The kinds of records, declared once: name, class, schema, and the Rust type that holds one.

use serde::Serialize;
use serde::de::Error as _;

use crate::decisions::*;
use crate::facts::*;
use crate::shared::Basis;

/// Who says a record of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A fact that an agent platform reports.
    Fact,
    /// A fact that a person states: a word given, with author and reason.
    Word,
    /// A fact that a room of Reeve decided.
    Decision,
}

/// The basis of a value whose kind is a decision.
macro_rules! basis_of {
    (Decision, $value:ident) => {
        Some(&$value.basis)
    };
    ($class:ident, $value:ident) => {{
        let _ = $value;
        None
    }};
}

macro_rules! basis_of_mut {
    (Decision, $value:ident) => {
        Some(&mut $value.basis)
    };
    ($class:ident, $value:ident) => {{
        let _ = $value;
        None
    }};
}

macro_rules! kinds {
    ($($name:ident, $class:ident, $kind:literal, $schema:literal;)+) => {
        /// A kind of record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {$(
            #[doc = concat!("`", $kind, "`")]
            $name,
        )+}

        /// What a record says, by kind. In JSON it is the bare value (CloudEvents `data`).
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Body {$(
            #[doc = concat!("`", $kind, "`")]
            $name($name),
        )+}

        impl Kind {
            /// Every kind, in the order of `schemas/README.md`.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name without prefix and version, such as `session.started`.
            pub fn name(self) -> &'static str {
                match self {$(Self::$name => $kind,)+}
            }

            /// The CloudEvents `type`, such as `io.reeve.session.started.v1`.
            pub fn ce_type(self) -> &'static str {
                match self {$(Self::$name => concat!("io.reeve.", $kind, ".v1"),)+}
            }

            /// Who says it.
            pub fn class(self) -> Class {
                match self {$(Self::$name => Class::$class,)+}
            }

            /// Its schema, as `schemas/` holds it.
            pub fn schema_text(self) -> &'static str {
                match self {$(Self::$name => include_str!(concat!("../../../schemas/", $schema)),)+}
            }

            /// The kind with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {$($kind => Some(Self::$name),)+ _ => None}
            }
        }

        impl Body {
            /// The kind of this value.
            pub fn kind(&self) -> Kind {
                match self {$(Self::$name(_) => Kind::$name,)+}
            }

            /// What the decision rests on; `None` for facts.
            pub fn basis(&self) -> Option<&Basis> {
                match self {$(Self::$name(value) => basis_of!($class, value),)+}
            }

            /// What the decision rests on, to be stamped when it is asked for; `None` for facts.
            pub fn basis_mut(&mut self) -> Option<&mut Basis> {
                match self {$(Self::$name(value) => basis_of_mut!($class, value),)+}
            }

            /// Reads the value of `kind` with any self-describing or schema-guided deserializer.
            ///
            /// # Errors
            /// Whatever the deserializer refuses; a field that the kind does not have is refused too.
            pub fn deserialize_as<'de, D: serde::Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Self, D::Error> {
                match kind {$(Kind::$name => <$name as serde::Deserialize>::deserialize(deserializer).map(Self::$name),)+}
            }

            /// Calls `f` with the bare value, so that one generic function serves every kind.
            pub(crate) fn visit<V: BodyVisitor>(&self, visitor: V) -> V::Output {
                match self {$(Self::$name(value) => visitor.visit(value),)+}
            }

            /// Asks `source` for the bare value of `kind`.
            pub(crate) fn build<B: BodyBuilder>(kind: Kind, source: B) -> Result<Self, B::Error> {
                match kind {$(Kind::$name => source.build::<$name>().map(Self::$name),)+}
            }
        }

        $(impl From<$name> for Body {
            fn from(value: $name) -> Self {
                Self::$name(value)
            }
        })+
    };
}

/// A function over the bare value of any kind.
pub(crate) trait BodyVisitor {
    type Output;
    fn visit<T: Serialize>(self, value: &T) -> Self::Output;
}

/// A source of the bare value of any kind.
pub(crate) trait BodyBuilder {
    type Error;
    fn build<T: serde::de::DeserializeOwned>(self) -> Result<T, Self::Error>;
}

kinds! {
    SessionStarted, Fact, "session.started", "events/session.started.avsc";
    MessagePosted, Fact, "message.posted", "events/message.posted.avsc";
    ModelCalled, Fact, "model.called", "events/model.called.avsc";
    ToolCalled, Fact, "tool.called", "events/tool.called.avsc";
    ToolReturned, Fact, "tool.returned", "events/tool.returned.avsc";
    DecisionMade, Fact, "decision.made", "events/decision.made.avsc";
    OutcomeReported, Fact, "outcome.reported", "events/outcome.reported.avsc";
    HarmReported, Fact, "harm.reported", "events/harm.reported.avsc";
    FindingReported, Fact, "finding.reported", "events/finding.reported.avsc";
    SessionEnded, Fact, "session.ended", "events/session.ended.avsc";
    VersionDeployed, Fact, "version.deployed", "events/version.deployed.avsc";
    CommandAcknowledged, Fact, "command.acknowledged", "events/command.acknowledged.avsc";
    PlatformHeartbeat, Fact, "platform.heartbeat", "events/platform.heartbeat.avsc";
    DoorOpened, Fact, "door.opened", "events/door.opened.avsc";
    IncidentNoted, Word, "incident.noted", "events/incident.noted.avsc";
    EscalationClaimed, Word, "escalation.claimed", "events/escalation.claimed.avsc";
    EscalationReturned, Word, "escalation.returned", "events/escalation.returned.avsc";
    PolicyAdopted, Word, "policy.adopted", "events/policy.adopted.avsc";
    BaselineDeclared, Word, "baseline.declared", "events/baseline.declared.avsc";
    ModeSet, Word, "mode.set", "events/mode.set.avsc";
    QuarantineLifted, Word, "quarantine.lifted", "events/quarantine.lifted.avsc";
    AutomationSet, Word, "automation.set", "events/automation.set.avsc";
    AccountabilityAssigned, Word, "accountability.assigned", "events/accountability.assigned.avsc";
    RollbackAccepted, Word, "rollback.accepted", "events/rollback.accepted.avsc";
    IncidentOpened, Decision, "incident.opened", "decisions/incident.opened.avsc";
    IncidentAggravated, Decision, "incident.aggravated", "decisions/incident.aggravated.avsc";
    IncidentEased, Decision, "incident.eased", "decisions/incident.eased.avsc";
    IncidentResolved, Decision, "incident.resolved", "decisions/incident.resolved.avsc";
    ModeOrdered, Decision, "mode.ordered", "decisions/mode.ordered.avsc";
    RollbackProposed, Decision, "rollback.proposed", "decisions/rollback.proposed.avsc";
    RollbackOrdered, Decision, "rollback.ordered", "decisions/rollback.ordered.avsc";
    RollbackVerified, Decision, "rollback.verified", "decisions/rollback.verified.avsc";
    RollbackFailed, Decision, "rollback.failed", "decisions/rollback.failed.avsc";
    VersionProven, Decision, "version.proven", "decisions/version.proven.avsc";
    EscalationRaised, Decision, "escalation.raised", "decisions/escalation.raised.avsc";
    EscalationOverdue, Decision, "escalation.overdue", "decisions/escalation.overdue.avsc";
    EscalationClosed, Decision, "escalation.closed", "decisions/escalation.closed.avsc";
    CapacityMeasured, Decision, "capacity.measured", "decisions/capacity.measured.avsc";
    CapacityForecast, Decision, "capacity.forecast", "decisions/capacity.forecast.avsc";
    CapacityWarned, Decision, "capacity.warned", "decisions/capacity.warned.avsc";
    RecordRefused, Decision, "record.refused", "decisions/record.refused.avsc";
    RoomWatermark, Decision, "room.watermark", "decisions/room.watermark.avsc";
}

impl Kind {
    /// The kind of a CloudEvents `type`.
    pub fn from_ce_type(ce_type: &str) -> Option<Self> {
        Self::from_name(ce_type.strip_prefix("io.reeve.")?.strip_suffix(".v1")?)
    }

    /// Whether the record matters to every partition: its publisher writes one copy with the same id to each, at once.
    pub fn is_broadcast(self) -> bool {
        matches!(self, Self::PolicyAdopted | Self::DoorOpened)
    }

    /// Whether only Reeve itself may say it: nobody else can know what was decided, or whether it could hear.
    pub fn is_reeves_own(self) -> bool {
        self.is_decision() || self == Self::DoorOpened
    }

    /// Whether a room decided it.
    pub fn is_decision(self) -> bool {
        self.class() == Class::Decision
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| D::Error::custom(format_args!("`{name}` is no kind of record")))
    }
}
