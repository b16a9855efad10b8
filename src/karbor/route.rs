//! (method, canonical target) → what Karbor would do with it.
//!
//! Karbor routes only below its own prefix. A creation is recognised below any prefix: behind a forgotten
//! `path_prefix` it would otherwise pass unseen, and where Karbor has no such route it answers 404 anyway.
//! The specification's short form is ours alone, so it is recognised at the configured prefix only.
//!
//! Leaves the spelling of targets to `target`, what follows from a route to `proxy`.

use http::Method;

use super::target::Target;

/// What Karbor would do with a request. The texts are canonical segments; `target::decode_segment` gives
/// what Karbor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'t> {
    /// `POST …/v1/{tenant}/providers/{provider}/checkpoints`.
    Create(Collection<'t>),
    /// `POST {prefix}/v1/{tenant}/checkpoint`, or `checkpoints`: the specification's short form.
    CreateShort {
        /// The project of the path.
        tenant: &'t str,
    },
    /// PUT, PATCH or POST on an existing checkpoint or below it.
    Update(Member<'t>),
    /// A write to an `extra-info` or `extra_info` sub-resource of a checkpoint.
    ExtraInfoWrite(Member<'t>),
    /// `GET …/checkpoints`.
    List(Collection<'t>),
    /// `GET …/checkpoints/{checkpoint}`.
    Show(Member<'t>),
    /// `DELETE …/checkpoints/{checkpoint}`.
    Delete(Member<'t>),
    /// `POST …/checkpoints/action`.
    Copy(Collection<'t>),
    /// `GET {prefix}/v1/{tenant}/extra-info-limits`: ours alone.
    Limits {
        /// The project of the path.
        tenant: &'t str,
    },
    /// Anything else.
    Pass,
}

/// The checkpoints of a provider, as a path names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection<'t> {
    /// The project of the path.
    pub tenant: &'t str,
    /// The provider of the path.
    pub provider: &'t str,
}

/// An existing checkpoint, as a path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'t> {
    /// The project of the path.
    pub tenant: &'t str,
    /// The provider of the path.
    pub provider: &'t str,
    /// The checkpoint of the path.
    pub checkpoint: &'t str,
}

impl<'t> Route<'t> {
    /// What Karbor would do with `method` on `target`. `prefix` is what stands before `/v1`.
    #[must_use]
    pub fn of(method: &Method, target: &'t Target, prefix: &str) -> Self {
        let path = target.path();
        if after_each("/checkpoint", path).next().is_none() {
            return match limits(path, prefix) {
                Some(tenant) if method == Method::GET => Self::Limits { tenant },
                _ => Self::Pass,
            };
        }
        if let Some(tenant) = short_form(path, prefix).filter(|_| method == Method::POST) {
            return Self::CreateShort { tenant };
        }
        after_each("/v1/", path).find_map(|rest| of_checkpoints(method, rest)).unwrap_or(Self::Pass)
    }

    /// The kind, for labels.
    #[must_use]
    pub const fn kind(&self) -> RouteKind {
        match self {
            Self::Create(_) => RouteKind::Create,
            Self::CreateShort { .. } => RouteKind::CreateShort,
            Self::Update(_) => RouteKind::Update,
            Self::ExtraInfoWrite(_) => RouteKind::ExtraInfoWrite,
            Self::List(_) => RouteKind::List,
            Self::Show(_) => RouteKind::Show,
            Self::Delete(_) => RouteKind::Delete,
            Self::Copy(_) => RouteKind::Copy,
            Self::Limits { .. } => RouteKind::Limits,
            Self::Pass => RouteKind::Pass,
        }
    }
}

/// What follows each `text`, which begins with a slash. To set up a searcher for it would take longer than to look at
/// every slash.
fn after_each<'t>(text: &'static str, path: &'t str) -> impl Iterator<Item = &'t str> {
    memchr::memchr_iter(b'/', path.as_bytes()).filter_map(move |at| path[at..].strip_prefix(text))
}

fn short_form<'t>(path: &'t str, prefix: &str) -> Option<&'t str> {
    let rest = path.strip_prefix(prefix)?.strip_prefix("/v1/")?;
    let (tenant, last) = rest.split_once('/')?;
    (!tenant.is_empty() && matches!(last, "checkpoint" | "checkpoints")).then_some(tenant)
}

fn limits<'t>(path: &'t str, prefix: &str) -> Option<&'t str> {
    let rest = path.strip_prefix(prefix)?.strip_prefix("/v1/")?;
    rest.strip_suffix("/extra-info-limits").filter(|tenant| !tenant.is_empty() && !tenant.contains('/'))
}

/// The route of `{tenant}/providers/{provider}/checkpoints…`, if `rest` is that.
fn of_checkpoints<'t>(method: &Method, rest: &'t str) -> Option<Route<'t>> {
    let mut segments = rest.split('/');
    let tenant = segments.next().filter(|tenant| !tenant.is_empty())?;
    segments.next().filter(|&literal| literal == "providers")?;
    let provider = segments.next().filter(|provider| !provider.is_empty())?;
    segments.next().filter(|&literal| literal == "checkpoints")?;
    let collection = Collection { tenant, provider };
    let Some(checkpoint) = segments.next() else {
        return Some(match *method {
            Method::POST => Route::Create(collection),
            Method::GET => Route::List(collection),
            _ => Route::Pass,
        });
    };
    if checkpoint.is_empty() {
        return Some(Route::Pass);
    }
    let member = Member { tenant, provider, checkpoint };
    let below = segments.next();
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    Some(match (method, below) {
        (_, Some("extra-info" | "extra_info")) if !safe => Route::ExtraInfoWrite(member),
        (&Method::POST, None) if checkpoint == "action" => Route::Copy(collection),
        (&Method::POST | &Method::PUT | &Method::PATCH, _) => Route::Update(member),
        (&Method::GET, None) => Route::Show(member),
        (&Method::DELETE, None) => Route::Delete(member),
        _ => Route::Pass,
    })
}

/// The kinds of route, for labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// A checkpoint creation as Karbor knows it.
    Create,
    /// A checkpoint creation in the specification's short form.
    CreateShort,
    /// A PUT, PATCH or POST on an existing checkpoint or below it.
    Update,
    /// A write to an `extra-info` sub-resource of a checkpoint.
    ExtraInfoWrite,
    /// A list of checkpoints.
    List,
    /// One checkpoint.
    Show,
    /// Deletion of a checkpoint.
    Delete,
    /// Copies of a plan's checkpoints.
    Copy,
    /// What a tenant may store, and how much of it is used.
    Limits,
    /// Anything else.
    Pass,
}

impl RouteKind {
    /// Every kind.
    pub const ALL: [RouteKind; 10] = [
        Self::Create,
        Self::CreateShort,
        Self::Update,
        Self::ExtraInfoWrite,
        Self::List,
        Self::Show,
        Self::Delete,
        Self::Copy,
        Self::Limits,
        Self::Pass,
    ];

    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateShort => "create-short",
            Self::Update => "update",
            Self::ExtraInfoWrite => "extra-info-write",
            Self::List => "list",
            Self::Show => "show",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Limits => "limits",
            Self::Pass => "pass",
        }
    }
}
