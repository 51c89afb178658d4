use super::*;

const A: Own = *b"NL32OPEN0000000001";
const B: Own = *b"NL95OPEN0000000002";

fn moves(iban: Own, seen: Seen) -> Need {
    Need {
        iban,
        seen,
        moves: true,
    }
}

fn looks(iban: Own, seen: Seen) -> Need {
    Need {
        iban,
        seen,
        moves: false,
    }
}

/// The order in which decisions are let go, and what is left.
fn run(decisions: &[(&'static str, Vec<Need>)]) -> (Vec<&'static str>, Vec<(&'static str, Stuck)>) {
    let mut sequencer = Sequencer::default();
    for (_, needs) in decisions {
        if needs.iter().all(|need| !need.moves) {
            sequencer.expect(needs);
        }
    }
    let mut order = Vec::new();
    for (name, needs) in decisions {
        sequencer.push(needs.clone(), *name, |name| order.push(name));
    }
    let waiting = sequencer.waiting();
    let mut left = sequencer.finish();
    assert!(waiting <= left.len());
    left.sort_by_key(|(name, _)| *name);
    (order, left)
}

/// Opens A and B, moves A twice, both once, and looks at A in between.
fn history() -> Vec<(&'static str, Vec<Need>)> {
    vec![
        ("no account yet", vec![looks(A, Seen::Absent)]),
        ("open A", vec![moves(A, Seen::Absent)]),
        (
            "no money yet",
            vec![looks(A, Seen::At(0)), looks(B, Seen::Absent)],
        ),
        ("A gets", vec![moves(A, Seen::At(0))]),
        ("open B", vec![moves(B, Seen::Absent)]),
        (
            "A pays B",
            vec![moves(A, Seen::At(1)), moves(B, Seen::At(0))],
        ),
        (
            "too much",
            vec![looks(A, Seen::At(2)), looks(B, Seen::Open)],
        ),
        (
            "B pays A",
            vec![moves(A, Seen::At(2)), moves(B, Seen::At(1))],
        ),
        ("nothing to see", vec![]),
    ]
}

/// Each decision's needs hold at its place.
fn check(order: &[&'static str]) {
    let decisions: HashMap<_, _> = history().into_iter().collect();
    let mut reached: HashMap<Own, i64> = HashMap::new();
    for name in order {
        for need in &decisions[name] {
            let at = reached.get(&need.iban).copied();
            assert_eq!(
                compare(need.seen, at),
                Ordering::Equal,
                "{name} in {order:?}"
            );
        }
        for need in decisions[name].iter().filter(|need| need.moves) {
            let next = reached.get(&need.iban).map_or(0, |version| version + 1);
            reached.insert(need.iban, next);
        }
    }
}

#[test]
fn given_a_history_in_any_order_when_sorted_then_each_decision_finds_what_it_saw() {
    // Every rotation, forwards and backwards, and with every stride that meets all.
    let history = history();
    let count = history.len();
    for stride in [1, 2, 4, 5, 7, 8] {
        for start in 0..count {
            let shuffled: Vec<_> = (0..count)
                .map(|step| history[(start + step * stride) % count].clone())
                .collect();
            let (order, left) = run(&shuffled);
            assert_eq!(left, [], "{shuffled:?}");
            assert_eq!(order.len(), count);
            check(&order);
        }
    }
}

#[test]
fn given_what_cannot_have_happened_when_sorted_then_it_is_left_over_with_the_reason() {
    let iban = |own: Own| String::from_utf8_lossy(&own).into_owned();
    let open = || {
        [
            ("open A", vec![moves(A, Seen::Absent)]),
            ("open B", vec![moves(B, Seen::Absent)]),
        ]
    };
    let with = |more: Vec<(&'static str, Vec<Need>)>| [open().to_vec(), more].concat();

    let (_, left) = run(&with(vec![("hole", vec![moves(A, Seen::At(1))])]));
    let stuck = Stuck::NeverReached {
        iban: iban(A),
        needed: Seen::At(1),
        reached: Some(0),
    };
    assert_eq!(left, [("hole", stuck)]);

    let twice = vec![moves(A, Seen::At(0))];
    let (order, left) = run(&with(vec![("first", twice.clone()), ("second", twice)]));
    assert_eq!(order, ["open A", "open B", "first"]);
    let stuck = Stuck::Passed {
        iban: iban(A),
        needed: Seen::At(0),
        reached: Some(1),
    };
    assert_eq!(left, [("second", stuck)]);

    // Each saw what the other did.
    let (_, left) = run(&with(vec![
        ("one", vec![moves(A, Seen::At(0)), moves(B, Seen::At(1))]),
        ("other", vec![moves(A, Seen::At(1)), moves(B, Seen::At(0))]),
    ]));
    let names: Vec<_> = left.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["one", "other"]);
    assert!(
        left.iter()
            .all(|(_, stuck)| matches!(stuck, Stuck::Cycle { .. })),
        "{left:?}"
    );

    // The rejection saw A before the move and B after it.
    let (_, left) = run(&with(vec![
        ("no", vec![looks(A, Seen::At(0)), looks(B, Seen::At(1))]),
        (
            "A pays B",
            vec![moves(A, Seen::At(0)), moves(B, Seen::At(0))],
        ),
    ]));
    assert_eq!(left.len(), 2);
    assert!(
        left.iter()
            .all(|(_, stuck)| matches!(stuck, Stuck::Cycle { .. })),
        "{left:?}"
    );
}

#[test]
fn given_an_announced_reader_that_never_comes_when_finished_then_what_it_held_up_says_so() {
    let mut sequencer = Sequencer::default();
    sequencer.begin(A, 3);
    sequencer.expect(&[looks(A, Seen::At(3))]);
    sequencer.push(vec![moves(A, Seen::At(3))], "held", |_| {});
    let stuck = Stuck::HeldUp {
        iban: String::from_utf8_lossy(&A).into_owned(),
        needed: Seen::At(3),
    };
    assert_eq!(sequencer.finish(), [("held", stuck)]);
}

#[test]
fn given_a_hundred_thousand_moves_backwards_when_sorted_then_it_takes_no_square_of_them() {
    const MOVES: i64 = 100_000;
    let mut sequencer = Sequencer::default();
    sequencer.begin(A, 0);
    let mut order = Vec::new();
    for version in (0..MOVES).rev() {
        sequencer.push(vec![moves(A, Seen::At(version))], version, |it| {
            order.push(it)
        });
    }
    assert!(order.iter().copied().eq(0..MOVES));
    assert_eq!(sequencer.finish(), []);
}
