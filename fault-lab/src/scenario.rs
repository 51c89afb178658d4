//! The list of scenarios: what each does, which promise it attacks, and what must come of it.

use crate::{
    fault::{Fault, Step},
    part::{Link, Part},
    seed::Seed,
};

/// The load runs undisturbed for so long first; what is later than this is at the faults' own time 0.
pub const CALM_MS: u64 = 2_000;

/// What a scenario needs of the machine beyond a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A bank whose database lies on a small file system: root, to mount one in memory.
    SmallDatabaseDisk,
    /// A bank whose broker keeps its log on a small file system.
    SmallBrokerDisk,
    /// The library that lies to one process about the time.
    FakeTime,
}

/// One way to break the bank.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// As asked for.
    pub name: String,
    /// What it does, in a line.
    pub what: String,
    /// The promises of the design that it attacks, by number.
    pub promises: &'static [u8],
    /// What a client sees of it; whatever it is, no invariant may break.
    pub expect: &'static str,
    /// What it takes.
    pub needs: Need,
    /// The fault.
    pub fault: Fault,
    /// From inject to heal, at least and at most.
    pub lasts_ms: (u64, u64),
    /// How often.
    pub times: u32,
}

/// Between two times of the same fault, at least and at most.
const GAP_MS: (u64, u64) = (800, 2_500);

impl Scenario {
    /// Its schedule for this seed.
    #[must_use]
    pub fn schedule(&self, seed: &Seed) -> Vec<Step> {
        let mut seed = seed.fork(&self.name);
        let mut steps = Vec::new();
        let mut at_ms = seed.below(300);
        for _ in 0..self.times {
            let lasts_ms = seed.between(self.lasts_ms.0, self.lasts_ms.1);
            let fault = self.fault;
            steps.push(Step {
                at_ms,
                lasts_ms,
                fault,
            });
            at_ms += lasts_ms + seed.between(GAP_MS.0, GAP_MS.1);
        }
        steps
    }

    /// The promises as text.
    #[must_use]
    pub fn promises_text(&self) -> String {
        let names: Vec<String> = self.promises.iter().map(|it| format!("P{it}")).collect();
        names.join(" ")
    }
}

/// The scenarios of the smoke set: one of each kind, those that are quick and those that found most.
pub const SMOKE: [&str; 8] = [
    "kill-handler",
    "kill-gateway",
    "pause-long-handler",
    "cut-handler-postgres",
    "immediate-stop",
    "repeat-commands",
    "poison",
    "scale-handlers",
];

/// All scenarios, in the order in which `all` runs them.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for part in Part::ALL {
        scenarios.extend(of_part(part));
    }
    for link in Link::ALL {
        scenarios.extend(of_link(link));
    }
    scenarios.extend(of_records());
    scenarios.extend(of_groups());
    scenarios.extend(of_database());
    scenarios.extend(of_disks());
    scenarios
}

/// The scenario of this name.
#[must_use]
pub fn find(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

fn of_part(part: Part) -> [Scenario; 4] {
    let (promises, expect): (&[u8], &str) = match part {
        Part::Handler => (&[1, 2, 3, 4], "pending until it is back; nothing else"),
        Part::Gateway => (
            &[1, 7],
            "errors, and the same answer to the same command id",
        ),
        Part::Generator => (&[1, 4], "nothing; the simulated public is still"),
        Part::Kafka => (&[1, 3, 6], "pending until it is back"),
        Part::Registry => (&[6], "nothing: schemas are known"),
        Part::Postgres => (&[2, 4, 6], "unavailable or pending until it is back"),
    };
    // A part of ours is back in a moment: more than one death fits.
    let own = matches!(part, Part::Handler | Part::Gateway | Part::Generator);
    let scenario = |name: &str, what: &str, fault, lasts_ms, times| Scenario {
        name: format!("{name}-{part}"),
        what: what.replace('%', part.name()),
        promises,
        expect,
        needs: Need::Nothing,
        fault,
        lasts_ms,
        times,
    };
    // Longer than a member of a group, a broker at its controller or a transaction may be silent.
    let long_pause_ms = if part == Part::Kafka { 8_000 } else { 6_000 };
    [
        scenario(
            "kill",
            if own {
                "kill -9 the %, three times"
            } else {
                "kill -9 the %"
            },
            Fault::Kill { part },
            (0, 0),
            if own { 3 } else { 1 },
        ),
        scenario(
            "stop",
            "stop the % in order, start it again after one to three seconds",
            Fault::Stop { part },
            (1_000, 3_000),
            1,
        ),
        scenario(
            "pause-short",
            "stop the clock of the % for two seconds",
            Fault::Pause { part },
            (2_000, 2_000),
            1,
        ),
        scenario(
            "pause-long",
            "stop the clock of the % for longer than any session lives",
            Fault::Pause { part },
            (long_pause_ms, long_pause_ms + 1_000),
            1,
        ),
    ]
}

fn of_link(link: Link) -> [Scenario; 4] {
    let (promises, expect): (&[u8], &str) = match link {
        Link::HandlerKafka => (&[3, 4, 5, 6], "pending until it is healed"),
        Link::HandlerPostgres => (&[2, 4, 6], "pending until it is healed"),
        Link::GatewayKafka => (&[1, 6, 7], "pending or unavailable until it is healed"),
        Link::GatewayPostgres => (&[1, 6, 7], "unavailable until it is healed"),
        Link::ClientGateway => (
            &[1, 7],
            "errors, and the same answer to the same command id",
        ),
        Link::ServicesRegistry => (&[6], "nothing: schemas are known"),
    };
    let scenario = |name: &str, what: &str, fault, lasts_ms| Scenario {
        name: format!("{name}-{link}"),
        what: what.replace('%', link.name()),
        promises,
        expect,
        needs: Need::Nothing,
        fault,
        lasts_ms,
        times: 1,
    };
    [
        scenario(
            "cut",
            "reset every connection of %, new ones too",
            Fault::Cut { link },
            (2_000, 5_000),
        ),
        scenario(
            "black-hole",
            "let nothing through %, and tell nobody",
            Fault::BlackHole { link },
            (3_000, 6_000),
        ),
        scenario(
            "slow",
            "let each piece on % wait 60 to 90 ms",
            Fault::Slow { link, delay_ms: 60 },
            (4_000, 5_000),
        ),
        scenario(
            "slice",
            "write every byte on % by itself",
            Fault::Slice { link },
            (4_000, 5_000),
        ),
    ]
}

fn scenario(
    name: &str,
    what: &str,
    promises: &'static [u8],
    expect: &'static str,
    fault: Fault,
    lasts_ms: (u64, u64),
) -> Scenario {
    Scenario {
        name: name.to_owned(),
        what: what.to_owned(),
        promises,
        expect,
        needs: Need::Nothing,
        fault,
        lasts_ms,
        times: 1,
    }
}

fn of_records() -> [Scenario; 4] {
    [
        scenario(
            "repeat-commands",
            "append the newest commands to their topics again, byte for byte",
            &[1, 2, 3],
            "the first outcomes again",
            Fault::RepeatCommands { records: 400 },
            (0, 0),
        ),
        scenario(
            "poison",
            "write three thousand records that are no commands into the command topics",
            &[6],
            "a delay; each is a dead letter",
            Fault::Poison { records: 3_000 },
            (0, 0),
        ),
        scenario(
            "strange-times",
            "send commands whose records say that they are from other years",
            &[1, 2],
            "nothing: no decision looks at a clock",
            Fault::StrangeTimes { records: 300 },
            (0, 0),
        ),
        Scenario {
            needs: Need::FakeTime,
            ..scenario(
                "wrong-clock",
                "restart the handler with a clock ten years ahead, then with its own again",
                &[1, 2, 4],
                "pending while it restarts",
                Fault::WrongClock { days: 3_650 },
                (3_000, 5_000),
            )
        },
    ]
}

fn of_groups() -> [Scenario; 3] {
    [
        scenario(
            "rebalance-storm",
            "a second and a third handler join and leave every two seconds",
            &[4, 5],
            "delays; some leave in order, some are killed",
            Fault::RebalanceStorm,
            (10_000, 11_000),
        ),
        scenario(
            "scale-handlers",
            "three handlers instead of one; then one stops and one is killed",
            &[4, 5],
            "a delay of up to three seconds",
            Fault::ScaleHandlers,
            (5_000, 6_000),
        ),
        scenario(
            "scale-gateways",
            "a second gateway, then it alone, then the first one alone",
            &[1, 5, 7],
            "errors at each change, and the same answer to the same command id",
            Fault::ScaleGateways,
            (6_000, 7_000),
        ),
    ]
}

fn of_database() -> [Scenario; 5] {
    [
        scenario(
            "kill-sessions",
            "terminate every session of the services, four times a second",
            &[2, 4, 6],
            "unavailable or pending until it ends",
            Fault::KillSessions,
            (3_000, 4_000),
        ),
        scenario(
            "immediate-stop",
            "stop PostgreSQL without a word to anyone; it recovers from its log",
            &[2, 4, 6],
            "unavailable or pending until it is back",
            Fault::ImmediateStop,
            (0, 0),
        ),
        scenario(
            "lock-tables",
            "lock the account tables of both databases against everybody",
            &[4, 6],
            "unavailable or pending until it ends",
            Fault::LockTables,
            (5_000, 7_000),
        ),
        scenario(
            "read-only",
            "make every transaction read only (default_transaction_read_only)",
            &[4, 6],
            "unavailable or pending until it ends",
            Fault::ReadOnly,
            (3_000, 5_000),
        ),
        scenario(
            "no-connections",
            "end the services' sessions and take every connection there is",
            &[6, 8],
            "unavailable or pending until it ends",
            Fault::UseUpConnections,
            (4_000, 6_000),
        ),
    ]
}

fn of_disks() -> [Scenario; 2] {
    [
        Scenario {
            needs: Need::SmallDatabaseDisk,
            ..scenario(
                "database-disk-full",
                "fill the file system of the database",
                &[2, 4, 6],
                "unavailable or pending until there is room",
                Fault::FillDatabaseDisk,
                (5_000, 7_000),
            )
        },
        Scenario {
            needs: Need::SmallBrokerDisk,
            ..scenario(
                "broker-disk-full",
                "fill the file system of the broker, which stops for it",
                &[3, 4, 6],
                "pending until there is room",
                Fault::FillBrokerDisk,
                (5_000, 7_000),
            )
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn given_the_list_when_read_then_names_differ_and_the_smoke_set_is_in_it() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        for name in SMOKE {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn given_the_list_when_read_then_every_promise_is_attacked_by_somebody() {
        let attacked: BTreeSet<u8> = all()
            .iter()
            .flat_map(|it| it.promises.iter().copied())
            .collect();
        assert_eq!(
            attacked.into_iter().collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8]
        );
    }

    #[test]
    fn given_the_same_seed_when_scheduled_then_every_scenario_is_the_same() {
        for scenario in all() {
            for number in 0..20 {
                let seed = Seed::new(number);
                let steps = scenario.schedule(&seed);
                assert_eq!(steps, scenario.schedule(&seed));
                assert!(
                    steps
                        .windows(2)
                        .all(|pair| pair[0].end_ms() <= pair[1].at_ms)
                );
            }
        }
    }
}
