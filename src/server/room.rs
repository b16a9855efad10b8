//! Room for connections: in total, and for each address. Shared by all workers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections open in all workers, and how many there may be.
#[derive(Clone, Debug)]
pub struct Room(Arc<Bounds>);

#[derive(Debug)]
struct Bounds(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    most: usize,
    most_of_one: Option<usize>,
    total: usize,
    /// Only addresses with a connection stand here, so the total bounds it too. Those of exempt ones do not.
    by_address: HashMap<IpAddr, usize>,
}

impl Room {
    /// Room for `most` connections, `most_of_one` of them from one address.
    #[must_use]
    pub fn of(most: usize, most_of_one: Option<usize>) -> Self {
        Self(Arc::new(Bounds(Mutex::new(Taken { most, most_of_one, ..Taken::default() }))))
    }

    /// So many from now on. Connections that are open stay.
    pub fn resize(&self, most: usize, most_of_one: Option<usize>) {
        let mut taken = self.0.lock();
        (taken.most, taken.most_of_one) = (most, most_of_one);
    }

    /// Connections open now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.lock().total
    }

    /// A place for a connection from `address`; an exempt one only counts in the total.
    pub(super) fn take(&self, address: IpAddr, exempt: bool) -> Option<Place> {
        let mut taken = self.0.lock();
        if taken.total >= taken.most {
            return None;
        }
        let counted = (!exempt).then_some(address);
        if let Some(address) = counted {
            let most_of_one = taken.most_of_one;
            let of_one = taken.by_address.entry(address).or_default();
            if most_of_one.is_some_and(|most| *of_one >= most) {
                return None;
            }
            *of_one += 1;
        }
        taken.total += 1;
        Some(Place { room: self.0.clone(), counted })
    }
}

impl Bounds {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Bounds>,
    counted: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.total = taken.total.saturating_sub(1);
        let Some(address) = self.counted else { return };
        if let Some(of_one) = taken.by_address.get_mut(&address) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn bounds_the_total_and_each_address() {
        let room = Room::of(3, Some(2));
        let first = room.take(ONE, false).unwrap();
        let second = room.take(ONE, false).unwrap();
        assert!(room.take(ONE, false).is_none(), "a third of one address");
        let third = room.take(OTHER, false).unwrap();
        assert!(room.take(OTHER, false).is_none(), "a fourth in all");
        drop((first, third));
        let again = room.take(ONE, false).unwrap();
        drop((second, again));
        assert!(room.0.lock().by_address.is_empty());
    }

    #[test]
    fn is_resized_under_those_who_are_there() {
        let room = Room::of(3, None);
        let places = [room.take(ONE, false).unwrap(), room.take(ONE, false).unwrap()];
        room.resize(3, Some(2));
        assert!(room.take(ONE, false).is_none(), "those of before count");
        let other = room.take(OTHER, false).unwrap();
        room.resize(1, None);
        drop(other);
        assert!(room.take(OTHER, false).is_none(), "two are there");
        drop(places);
        assert!(room.take(ONE, false).is_some());
    }

    #[test]
    fn exempts_from_the_bound_of_one() {
        let room = Room::of(3, Some(1));
        let places: Vec<_> = (0..3).map(|_| room.take(ONE, true)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(room.take(OTHER, false).is_none());
    }
}
