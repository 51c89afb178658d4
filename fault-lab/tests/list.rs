//! The list in the code and the table in the documentation are one.

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/failure-modes.md");

#[test]
fn given_the_documentation_when_compared_with_the_list_then_every_scenario_has_its_row() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let table = fault_lab::table();
    assert!(
        text.contains(&table),
        "docs/failure-modes.md must hold this table:\n{table}"
    );
}

#[test]
fn given_the_list_when_shown_then_every_name_of_it_can_be_asked_for() {
    for line in fault_lab::list().lines() {
        let name = line.split_whitespace().next().unwrap();
        if name != "expect:" {
            assert!(
                fault_lab::plans(&[name.to_owned()], 1, 60).is_ok(),
                "{name}"
            );
        }
    }
    assert!(fault_lab::plans(&["unheard-of".to_owned()], 1, 60).is_err());
}

#[test]
fn given_the_same_seed_when_planned_twice_then_the_schedules_are_the_same() {
    let names = [fault_lab::ALL.to_owned(), fault_lab::SWARM.to_owned()];
    for seed in 0..10 {
        let schedules = || -> Vec<_> {
            let plans = fault_lab::plans(&names, seed, 600).unwrap();
            plans.into_iter().map(|plan| plan.schedule).collect()
        };
        assert_eq!(schedules(), schedules());
    }
}
