//! Where each value of a layer stands: a number for each, in the shape of the values and much smaller.
//!
//! Leaves to the layer what a number means: a line of its file, or one of its variables.

use std::rc::Rc;

use figment::value::Value;

use super::written::KeyPath;

/// Where a value stands, and what is within it. A number of 0 is unknown: then that of what is around it holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    number: u32,
    within: Within,
}

#[derive(Clone, Debug, Default)]
enum Within {
    /// Nothing that is known of.
    #[default]
    Nothing,
    /// The items of a list.
    Items(Box<[u32]>),
    /// What stands in a table, in order of name.
    Names(Vec<(Box<str>, Place)>),
}

impl Place {
    /// A value without anything in it.
    pub(super) const fn at(number: u32) -> Self {
        Self { number, within: Within::Nothing }
    }

    /// A list and its items.
    pub(super) fn of_list(number: u32, items: impl IntoIterator<Item = u32>) -> Self {
        Self { number, within: Within::Items(items.into_iter().collect()) }
    }

    /// A table and what stands in it.
    pub(super) fn of_table(number: u32, mut names: Vec<(Box<str>, Self)>) -> Self {
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        names.shrink_to_fit();
        Self { number, within: Within::Names(names) }
    }

    /// A value of which only the whole has a number.
    pub(super) fn of_value(number: u32, value: &Value) -> Self {
        let Value::Dict(_, table) = value else { return Self::at(number) };
        let names = table.iter().map(|(name, value)| (name.as_str().into(), Self::of_value(0, value)));
        Self::of_table(number, names.collect())
    }

    /// Whether there is a value at `path`.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        let mut names = path.names().iter();
        names.try_fold(self, |place, name| place.child(name)).is_some()
    }

    /// The number of the value at `path`, or of its item of that index; of what is around it where there is none.
    pub(super) fn number(&self, path: &KeyPath, index: Option<usize>) -> u32 {
        let (mut place, mut number) = (self, self.number);
        for name in path.names() {
            let Some(child) = place.child(name) else { return number };
            place = child;
            number = place.known().unwrap_or(number);
        }
        let item = match (&place.within, index) {
            (Within::Items(items), Some(index)) => items.get(index).copied(),
            _ => None,
        };
        item.filter(|item| *item > 0).unwrap_or(number)
    }

    /// Puts a value at `names`; the tables on the way to it are made, and what is no table becomes one.
    pub(super) fn insert(&mut self, names: &[Rc<str>], place: Self) {
        let Some((first, rest)) = names.split_first() else {
            *self = place;
            return;
        };
        if !matches!(self.within, Within::Names(_)) {
            self.within = Within::Names(Vec::new());
        }
        let Within::Names(within) = &mut self.within else { return };
        let at = within.binary_search_by(|(name, _)| (**name).cmp(&**first)).unwrap_or_else(|at| {
            within.insert(at, ((&**first).into(), Self::default()));
            at
        });
        if let Some((_, child)) = within.get_mut(at) {
            child.insert(rest, place);
        }
    }

    /// Forgets what stands in the table of that name.
    pub(super) fn remove(&mut self, name: &str) {
        if let Within::Names(names) = &mut self.within {
            names.retain(|(own, _)| &**own != name);
        }
    }

    fn known(&self) -> Option<u32> {
        (self.number > 0).then_some(self.number)
    }

    fn child(&self, name: &str) -> Option<&Self> {
        let Within::Names(names) = &self.within else { return None };
        let at = names.binary_search_by(|(own, _)| (**own).cmp(name)).ok()?;
        names.get(at).map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let list = Place::of_list(4, [5, 0]);
        let table = Place::of_table(2, vec![("list".into(), list), ("bare".into(), Place::at(0))]);
        Place::of_table(0, vec![("table".into(), table), ("one".into(), Place::at(1))])
    }

    #[track_caller]
    fn check(place: &Place, path: &str, index: Option<usize>, expected: (bool, u32)) {
        let path = KeyPath::of(path);
        assert_eq!((place.has(&path), place.number(&path, index)), expected, "{path} {index:?}");
    }

    #[test]
    fn what_has_no_number_has_that_of_what_is_around_it() {
        let place = place();
        check(&place, "one", None, (true, 1));
        check(&place, "table", None, (true, 2));
        check(&place, "table.bare", None, (true, 2));
        check(&place, "table.list", None, (true, 4));
        for (index, expected) in [(0, 5), (1, 4), (2, 4)] {
            check(&place, "table.list", Some(index), (true, expected));
        }
        check(&place, "table.none.further", None, (false, 2));
        check(&place, "none", None, (false, 0));
    }

    #[test]
    fn values_are_put_in_by_and_by() {
        let mut place = place();
        for (path, number) in [("table.new.deep", 7), ("a", 8), ("one.two", 9)] {
            place.insert(KeyPath::of(path).names(), Place::at(number));
        }
        check(&place, "table.new", None, (true, 2));
        check(&place, "table.new.deep", None, (true, 7));
        check(&place, "table.list", None, (true, 4));
        check(&place, "a", None, (true, 8));
        check(&place, "one.two", None, (true, 9));
        place.remove("table");
        check(&place, "table.list", None, (false, 0));
        check(&place, "one", None, (true, 1));
    }
}
