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

    /// A place for a connection from `address`; without one it only counts in the total.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut taken = self.0.lock();
        if taken.total >= taken.most {
            return None;
        }
        if !taken.count(address) {
            return None;
        }
        taken.total += 1;
        Some(Place { room: self.0.clone(), counted: address })
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

impl Place {
    /// Another place for whoever has this one.
    pub(super) fn another(&self) -> Option<Self> {
        Room(self.room.clone()).take(self.counted)
    }

    /// The connection is from that address, not from where it seemed. False if there is no room for it.
    pub(super) fn belongs_to(&mut self, address: Option<IpAddr>) -> bool {
        let mut taken = self.room.lock();
        if !taken.count(address) {
            return false;
        }
        taken.leave(std::mem::replace(&mut self.counted, address));
        true
    }
}

impl Taken {
    /// Counts one more of the address, also where there is no bound: a reload may bring one. False if that is
    /// too many.
    fn count(&mut self, address: Option<IpAddr>) -> bool {
        let Some(address) = address else { return true };
        let of_one = self.by_address.get(&address).copied().unwrap_or_default();
        if self.most_of_one.is_some_and(|most| of_one >= most) {
            return false;
        }
        self.by_address.insert(address, of_one + 1);
        true
    }

    fn leave(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if let Some(of_one) = self.by_address.get_mut(&address) {
            *of_one -= 1;
            if *of_one == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.total = taken.total.saturating_sub(1);
        taken.leave(self.counted);
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
        let first = room.take(Some(ONE)).unwrap();
        let second = room.take(Some(ONE)).unwrap();
        assert!(room.take(Some(ONE)).is_none(), "a third of one address");
        let third = room.take(Some(OTHER)).unwrap();
        assert!(room.take(Some(OTHER)).is_none(), "a fourth in all");
        drop((first, third));
        let again = room.take(Some(ONE)).unwrap();
        drop((second, again));
        assert!(room.0.lock().by_address.is_empty());
    }

    #[test]
    fn is_resized_under_those_who_are_there() {
        let room = Room::of(3, None);
        let places = [room.take(Some(ONE)).unwrap(), room.take(Some(ONE)).unwrap()];
        room.resize(3, Some(2));
        assert!(room.take(Some(ONE)).is_none(), "those of before count");
        let other = room.take(Some(OTHER)).unwrap();
        room.resize(1, None);
        drop(other);
        assert!(room.take(Some(OTHER)).is_none(), "two are there");
        drop(places);
        assert!(room.take(Some(ONE)).is_some());
    }

    #[test]
    fn counts_for_whom_it_turns_out_to_be() {
        let room = Room::of(4, Some(2));
        let mut places: Vec<_> = (0..3).map(|_| room.take(None).unwrap()).collect();
        assert!(places[0].belongs_to(Some(ONE)));
        assert!(places[1].belongs_to(Some(ONE)));
        assert!(!places[2].belongs_to(Some(ONE)), "a third of one address");
        assert!(places[2].belongs_to(Some(OTHER)));
        assert!(places[2].belongs_to(Some(OTHER)), "the same again");
        assert!(places[0].another().is_none(), "a third of one address");
        let another = places[2].another().unwrap();
        assert!(room.take(None).is_none(), "a fifth in all");
        drop((places, another));
        let taken = room.0.lock();
        assert!(taken.by_address.is_empty());
        assert_eq!(taken.total, 0);
    }

    #[test]
    fn exempts_from_the_bound_of_one() {
        let room = Room::of(3, Some(1));
        let places: Vec<_> = (0..3).map(|_| room.take(None)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(room.take(Some(OTHER)).is_none());
    }
}
