//! Plans and checkpoints, in memory and bounded: of too many, the oldest go.
//!
//! Pure: the date and the ids come from outside. Leaves faults and their wording to `controller`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::json::Json;
use super::pages::Bank;

/// The most plans kept.
pub(super) const MAX_PLANS: usize = 1_000;
/// The most checkpoints kept, deleted ones included.
pub(super) const MAX_CHECKPOINTS: usize = 10_000;

/// What is to be protected.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) id: String,
    pub(super) project: String,
    pub(super) name: Json,
    pub(super) description: Json,
    pub(super) resources: Vec<Json>,
    pub(super) provider: String,
    pub(super) status: Json,
    pub(super) parameters: Json,
}

/// The life of a checkpoint, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Available,
    Error,
    Deleted,
    /// A copy that nobody has read yet; the first read shows it so, and ends it.
    Copying,
}

/// What Karbor stores as `extra_info`. Never what the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Manual,
    Copy,
}

/// One checkpoint, with its plan as it was then.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) id: String,
    pub(super) plan: Arc<Plan>,
    pub(super) created: String,
    pub(super) status: Status,
    pub(super) origin: Origin,
}

/// Everything the stand-in remembers.
#[derive(Debug)]
pub(super) struct Store {
    plans: Shelf<Arc<Plan>>,
    checkpoints: Shelf<Checkpoint>,
    created: u64,
    pub(super) bank: Bank,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            plans: Shelf::new(MAX_PLANS),
            checkpoints: Shelf::new(MAX_CHECKPOINTS),
            created: 0,
            bank: Bank::default(),
        }
    }
}

impl Store {
    /// How many checkpoints were ever made, copies included.
    pub(super) fn created(&self) -> u64 {
        self.created
    }

    pub(super) fn keep_plan(&mut self, plan: Plan) {
        self.plans.insert(plan.id.clone(), Arc::new(plan));
    }

    /// A plan, if it is the project's.
    pub(super) fn plan(&self, project: &str, id: &str) -> Option<&Arc<Plan>> {
        self.plans.get(id).filter(|plan| plan.project == project)
    }

    pub(super) fn plan_mut(&mut self, project: &str, id: &str) -> Option<&mut Plan> {
        self.plans.get_mut(id).filter(|plan| plan.project == project).map(Arc::make_mut)
    }

    /// The project's plans, newest first.
    pub(super) fn plans<'a>(&'a self, project: &'a str) -> impl Iterator<Item = &'a Arc<Plan>> {
        self.plans.newest_first().filter(move |plan| plan.project == project)
    }

    /// Whether there was such a plan.
    pub(super) fn drop_plan(&mut self, project: &str, id: &str) -> bool {
        self.plan(project, id).is_some() && self.plans.remove(id)
    }

    pub(super) fn keep_checkpoint(&mut self, checkpoint: Checkpoint) {
        self.created += 1;
        self.checkpoints.insert(checkpoint.id.clone(), checkpoint);
    }

    pub(super) fn checkpoint_mut(&mut self, id: &str) -> Option<&mut Checkpoint> {
        self.checkpoints.get_mut(id)
    }

    /// Ids of the project's checkpoints that are not deleted, newest first.
    pub(super) fn listed(&self, project: &str, plan: Option<&str>) -> Vec<String> {
        let all = self.checkpoints.newest_first();
        let listed = all.filter(|checkpoint| {
            checkpoint.status != Status::Deleted
                && checkpoint.plan.project == project
                && plan.is_none_or(|plan| checkpoint.plan.id == plan)
        });
        listed.map(|checkpoint| checkpoint.id.clone()).collect()
    }
}

/// Things by id, in the order they came.
#[derive(Debug)]
struct Shelf<T> {
    things: HashMap<String, T>,
    order: VecDeque<String>,
    capacity: usize,
}

impl<T> Shelf<T> {
    fn new(capacity: usize) -> Self {
        Self { things: HashMap::new(), order: VecDeque::new(), capacity }
    }

    fn insert(&mut self, id: String, thing: T) {
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.things.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.things.insert(id, thing);
    }

    fn get(&self, id: &str) -> Option<&T> {
        self.things.get(id)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.things.get_mut(id)
    }

    fn remove(&mut self, id: &str) -> bool {
        self.order.retain(|kept| kept != id);
        self.things.remove(id).is_some()
    }

    fn newest_first(&self) -> impl Iterator<Item = &T> {
        self.order.iter().rev().filter_map(|id| self.things.get(id))
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn of_too_many_the_oldest_go() {
        let mut shelf = Shelf::new(2);
        for id in ["a", "b", "c"] {
            shelf.insert(id.to_owned(), id);
        }
        assert_eq!(shelf.newest_first().copied().collect::<Vec<_>>(), ["c", "b"]);
        assert_eq!((shelf.get("a"), shelf.get("b"), shelf.things.len()), (None, Some(&"b"), 2));
        assert!(shelf.remove("b") && !shelf.remove("b"));
        assert_eq!(shelf.newest_first().count(), 1);
    }
}
