//! From scores to classes: which one a stream is in, and whether that is news.

use relay_api::QualityClass;

/// What is remembered of one stream.
pub(super) struct Judge {
    class: QualityClass,
    worst: QualityClass,
}

impl Judge {
    pub(super) fn new() -> Self {
        Self { class: QualityClass::Good, worst: QualityClass::Good }
    }

    /// The class that the stream is in from now on, if it is another one.
    pub(super) fn judge(&mut self, mos: f64) -> Option<QualityClass> {
        let class = class_of(mos, self.class);
        self.worst = self.worst.min(class);
        (std::mem::replace(&mut self.class, class) != class).then_some(class)
    }

    pub(super) fn worst(&self) -> QualityClass {
        self.worst
    }
}

/// Each bound lies a little away from the class that the stream is in.
fn class_of(mos: f64, before: QualityClass) -> QualityClass {
    let reaches = |class: QualityClass, bound: f64| {
        mos >= if before >= class { bound - HYSTERESIS } else { bound + HYSTERESIS }
    };
    if reaches(QualityClass::Good, GOOD) {
        QualityClass::Good
    } else if reaches(QualityClass::Fair, FAIR) {
        QualityClass::Fair
    } else {
        QualityClass::Poor
    }
}

/// R = 80, ITU-T G.109: "users satisfied".
const GOOD: f64 = 4.0;
/// R = 60: below it "many users dissatisfied".
const FAIR: f64 = 3.1;
const HYSTERESIS: f64 = 0.1;

#[cfg(test)]
mod tests {
    use QualityClass::{Fair, Good, Poor};

    use super::*;

    #[test]
    fn a_class_is_told_when_it_changes_and_a_flutter_around_a_bound_is_not() {
        let mut judge = Judge::new();
        let told: Vec<_> = [4.4, 3.95, 4.05, 3.91, 3.89, 3.95, 4.05, 4.09, 4.11, 2.0, 3.15, 3.21, 4.4]
            .into_iter()
            .filter_map(|mos| judge.judge(mos).map(|class| (mos, class)))
            .collect();
        assert_eq!(told, [(3.89, Fair), (4.11, Good), (2.0, Poor), (3.21, Fair), (4.4, Good)]);
        assert_eq!(judge.worst(), Poor);
    }
}
