//! Every room obeys the eight laws, alone and beside the others, and no mutant breaks one.

mod defaults;
mod hostile;
mod slow_trouble;

use audit::Audit;
use capacity::Capacity;
use escalation::Escalation;
use incident::Incident;
use kit::lives::{BIRTH, life_beside, with_unreadable};
use kit::room::room;
use kit::{Rooms, Teller};
use machine::laws::Life;
use machine::machine_laws;
use proptest::strategy::Strategy;
use rollback::Rollback;

const CASES: u32 = 48;

fn rooms() -> Rooms {
    vec![room::<Incident>, room::<Rollback>, room::<Escalation>, room::<Capacity>, room::<Audit>]
}

mod incident_room {
    use super::*;
    machine_laws!(Incident, life_beside("incident", rooms), CASES);
}

/// The incident room again, over lives of slow trouble.
mod incident_room_in_slow_trouble {
    use super::*;
    machine_laws!(Incident, slow_trouble::lives(), CASES / 2);
}

mod rollback_room {
    use super::*;
    machine_laws!(Rollback, life_beside("rollback", rooms), CASES);
}

mod escalation_room {
    use super::*;
    machine_laws!(Escalation, life_beside("escalation", rooms), CASES);
}

mod capacity_room {
    use super::*;
    machine_laws!(Capacity, life_beside("capacity", rooms), CASES);
}

mod audit_room {
    use super::*;
    machine_laws!(Audit, with_unreadable(life_beside("audit", rooms)), CASES);
}

/// Budgets so small that most lives pass them, and so short a horizon that some are warned of before.
mod capacity_room_under_budgets {
    use super::*;
    machine_laws!(Capacity, life_beside("capacity", rooms).prop_map(under_budgets), CASES);
}

fn under_budgets(mut life: Life) -> Life {
    let adopted = wire::PolicyAdopted {
        room: "capacity".to_owned(),
        version: "tight".to_owned(),
        document: r#"{"budgets": {"tokens_per_minute": 600, "cost_usd_per_day": 0.02, "concurrent_sessions": 2}, "horizon_s": 600, "calm_minutes": 1}"#
            .to_owned(),
        author: "ann".to_owned(),
        reason: "to be passed".to_owned(),
    };
    life.insert(0, (BIRTH, Teller::person("ann", "capacity").tell(BIRTH, None, adopted)));
    life
}
