//! Every room obeys the eight laws, alone and beside the others.

use incident::Incident;
use kit::Rooms;
use kit::lives::life_beside;
use kit::room::room;
use machine::machine_laws;
use rollback::Rollback;

const CASES: u32 = 48;

fn rooms() -> Rooms {
    vec![room::<Incident>, room::<Rollback>]
}

mod incident_room {
    use super::*;
    machine_laws!(Incident, life_beside("incident", rooms), CASES);
}

mod rollback_room {
    use super::*;
    machine_laws!(Rollback, life_beside("rollback", rooms), CASES);
}
