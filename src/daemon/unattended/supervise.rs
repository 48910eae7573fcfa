//! The tasks that the daemon is made of, by name. None of them ends before it is asked to; one that does has failed, whether
//! it says so, panicked or simply returned.

use std::collections::HashMap;
use std::future::Future;

use thiserror::Error;
use tokio::task::{Id, JoinError, JoinSet};

/// Why a task ended that does not say so itself.
#[derive(Debug, Error)]
pub enum TaskFault {
    /// It returned, as if it had been asked to.
    #[error("the task `{task}` ended by itself")]
    Ended {
        /// Which one.
        task: &'static str,
    },
    /// It panicked: a fault of the program.
    #[error("the task `{task}` broke off")]
    Broken {
        /// Which one.
        task: &'static str,
        /// How.
        #[source]
        source: JoinError,
    },
}

/// How a task ended.
#[derive(Debug)]
pub struct TaskEnd<E> {
    /// Which one.
    pub task: &'static str,
    /// What it ended with.
    pub result: Result<(), E>,
}

impl<E: From<TaskFault>> TaskEnd<E> {
    /// Why it ended, where nobody asked it to.
    pub fn unasked(self) -> E {
        self.result.err().unwrap_or_else(|| TaskFault::Ended { task: self.task }.into())
    }
}

/// Tasks by name. All of them end when this is dropped.
#[derive(Debug)]
pub struct Tasks<E> {
    set: JoinSet<Result<(), E>>,
    names: HashMap<Id, &'static str>,
}

impl<E: From<TaskFault> + Send + 'static> Tasks<E> {
    /// None yet.
    pub fn new() -> Self {
        Self { set: JoinSet::new(), names: HashMap::new() }
    }

    /// Starts one that may fail.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static) {
        let started = self.set.spawn(task);
        self.names.insert(started.id(), name);
    }

    /// Starts one that has nothing to tell at its end.
    pub fn spawn_endless(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(name, async move {
            task.await;
            Ok(())
        });
    }

    /// Whether a task of this name runs.
    pub fn runs(&self, name: &str) -> bool {
        self.names.values().any(|running| *running == name)
    }

    /// Waits for the next end; nothing where no task is left. Nothing is lost if this is dropped while it waits.
    pub async fn next_end(&mut self) -> Option<TaskEnd<E>> {
        let ended = self.set.join_next_with_id().await?;
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        // Each was given its name before anything else could happen to it.
        let task = self.names.remove(&id).unwrap_or("unnamed");
        let result = match ended {
            Ok((_, result)) => result,
            Err(source) => Err(TaskFault::Broken { task, source }.into()),
        };
        Some(TaskEnd { task, result })
    }

    /// Waits until none of these runs any more, and gives the first fault among all that end meanwhile.
    pub async fn ended(&mut self, tasks: &[&str]) -> Option<E> {
        let mut first = None;
        while tasks.iter().any(|task| self.runs(task))
            && let Some(end) = self.next_end().await
        {
            first = first.or(end.result.err());
        }
        first
    }
}

impl<E: From<TaskFault> + Send + 'static> Default for Tasks<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[derive(Debug, Error)]
    enum Fault {
        #[error("the disk is full")]
        Full,
        #[error(transparent)]
        Task(#[from] TaskFault),
    }

    fn endless(tasks: &mut Tasks<Fault>, name: &'static str) {
        tasks.spawn_endless(name, std::future::pending());
    }

    #[tokio::test]
    async fn the_first_end_is_told_by_name_whatever_kind_it_is_of() {
        let mut tasks = Tasks::new();
        endless(&mut tasks, "schedule");
        assert!(tasks.next_end().now_or_never().is_none(), "nothing has ended");
        tasks.spawn("reconcile", async { Err(Fault::Full) });
        let end = tasks.next_end().await.unwrap();
        assert_eq!(end.task, "reconcile");
        assert_eq!(end.unasked().to_string(), "the disk is full");

        tasks.spawn_endless("systemd", async {});
        let end = tasks.next_end().await.unwrap();
        assert!(end.result.is_ok());
        assert_eq!(end.unasked().to_string(), "the task `systemd` ended by itself");

        tasks.spawn_endless("admin", async { panic!("planted") });
        let end = tasks.next_end().await.unwrap();
        assert_eq!(end.unasked().to_string(), "the task `admin` broke off");
        assert!(tasks.runs("schedule") && !tasks.runs("admin"));
    }

    #[tokio::test]
    async fn others_that_end_do_not_end_the_wait_and_their_faults_are_kept() {
        let mut tasks = Tasks::new();
        let (finish, asked) = oneshot::channel::<()>();
        tasks.spawn("reconcile", async move {
            // Dropped or sent: it ends either way.
            let _ = asked.await;
            Ok(())
        });
        tasks.spawn("events", async { Err(Fault::Full) });
        endless(&mut tasks, "systemd");
        let mut wait = Box::pin(tasks.ended(&["reconcile"]));
        // The others have their turn.
        tokio::task::yield_now().await;
        assert!(futures::poll!(&mut wait).is_pending());
        finish.send(()).unwrap();
        let fault = wait.await.unwrap();
        assert_eq!(fault.to_string(), "the disk is full");
        assert!(tasks.runs("systemd") && !tasks.runs("reconcile"));
        assert!(tasks.ended(&["reconcile"]).await.is_none(), "there is nothing to wait for");
    }
}
