//! Lists cut into pages, and the link to the next, as Karbor makes it.

use super::answers::Fault;
use super::controller::Act;
use super::json::Json;

/// The most of one page (facts, section 8).
const MAX_PAGE: usize = 1000;

/// How the bank behind Karbor takes `limit` and `marker`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bank {
    /// As a client would think: so many behind the marker. S3 does, and Swift if asked to sort upwards.
    #[default]
    Paging,
    /// The last so many, wherever the marker stands: the file bank. Who follows its links never ends.
    Files,
    /// All before the marker, the oldest first, however many: Swift, unless it is asked to sort upwards.
    Descending,
}

/// One page of a list, and the query of the next if this one is full.
pub(super) struct Page {
    pub(super) ids: Vec<String>,
    next: Option<String>,
}

impl Act<'_> {
    /// Cuts out the page that the query asks for, as `bank` understands it.
    pub(super) fn page(&self, bank: Bank, mut ids: Vec<String>) -> Result<Page, Fault> {
        let query = self.query.ok_or_else(Fault::unexpected)?;
        let integer = |name: &str| query.first(name).map(|text| text.trim().parse::<i64>().ok());
        let limit = match integer("limit") {
            None => MAX_PAGE,
            Some(None) => return Err(Fault::bad_request("limit param must be an integer")),
            Some(Some(limit)) if limit <= 0 => {
                return Err(Fault::bad_request("limit param must be positive"));
            }
            Some(Some(limit)) => usize::try_from(limit).map_or(MAX_PAGE, |limit| limit.min(MAX_PAGE)),
        };
        match integer("offset") {
            Some(None) => return Err(Fault::bad_request("offset must be an integer.")),
            Some(Some(offset)) if offset < 0 => return Err(Fault::bad_request("offset must be >= 0")),
            _ => {}
        }
        if query.first("sort").is_some() && query.first("sort_key").or(query.first("sort_dir")).is_some() {
            let text = "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' \
                        parameter.";
            return Err(Fault::bad_request(text));
        }
        if bank == Bank::Descending {
            ids.reverse();
        }
        if let Some(marker) = query.first("marker") {
            let Some(place) = ids.iter().position(|id| id == marker) else {
                let object = format!("/checkpoints/{marker}/index.json").replace("//", "/");
                return Err(Fault::failed(format!(
                    "Get Object {object} in Bank Failed: Object is not a file"
                )));
            };
            match bank {
                Bank::Paging => drop(ids.drain(..=place)),
                Bank::Files => {}
                Bank::Descending => ids.truncate(place),
            }
        }
        match bank {
            Bank::Paging => ids.truncate(limit),
            Bank::Files => drop(ids.drain(..ids.len().saturating_sub(limit))),
            Bank::Descending => {}
        }
        let next = ids.last().filter(|_| ids.len() >= limit).map(|last| query.after(last));
        Ok(Page { ids, next })
    }

    /// A list, with the link that Karbor adds to a full page. It lacks the provider and leads nowhere
    /// (facts, section 8).
    pub(super) fn collection(&self, name: &str, items: Vec<Json>, page: &Page) -> Json {
        let mut members = vec![(name.into(), Json::List(items))];
        if let Some(next) = &page.next {
            let href = format!("http://{}/v1/{}/{name}?{next}", self.request.host, self.project);
            let link = Json::map([("rel", Json::text("next")), ("href", Json::text(&href))]);
            members.push((format!("{name}_links").into(), Json::List(vec![link])));
        }
        Json::Map(members)
    }
}
