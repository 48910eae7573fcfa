//! What must have come out of each chapter.

/// A chapter, as it is judged.
#[derive(Clone, Debug)]
pub(crate) struct Chapter {
    /// What must have happened.
    pub(crate) title: &'static str,
    /// What was checked.
    pub(crate) checks: Vec<Check>,
}

/// One thing that must be so.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// What must be so.
    pub(crate) what: String,
    /// What was found instead, if it is not.
    pub(crate) wrong: Option<String>,
}

impl Chapter {
    /// Nothing was checked yet.
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, checks: Vec::new() }
    }

    /// Whether everything is as it must be.
    pub(crate) fn is_right(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.wrong.is_none())
    }

    /// Two values that must be the same. `{}` in `what` stands for the expected one.
    pub(crate) fn equal<T: PartialEq + std::fmt::Display>(&mut self, what: &str, expected: &T, found: &T) {
        let wrong = (expected != found).then(|| found.to_string());
        self.checks.push(Check { what: what.replace("{}", &expected.to_string()), wrong });
    }

    /// Something that must be so; what was found instead otherwise.
    pub(crate) fn holds(&mut self, what: impl Into<String>, found: Result<(), String>) {
        self.checks.push(Check { what: what.into(), wrong: found.err() });
    }
}
