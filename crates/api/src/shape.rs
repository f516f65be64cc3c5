//! What the shapes of all resources share: instants, pages with cursors, query parameters.

use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// An instant as RFC 3339 text.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub struct Time(Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Time {
        Time(at)
    }
}

impl PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .description(Some("An instant, RFC 3339."))
            .into()
    }
}

impl ToSchema for Time {}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listing<T: ToSchema> {
    /// The rows.
    pub items: Vec<T>,
    /// Asks for the page after this one; null where everything was given.
    pub next_cursor: Option<String>,
    /// How many there are on all pages, where that is known.
    pub total: Option<i64>,
}

impl<T: ToSchema> Listing<T> {
    /// Everything there is.
    pub fn all(items: Vec<T>) -> Listing<T> {
        let total = Some(items.len() as i64);
        Listing { items, next_cursor: None, total }
    }
}

/// Which part of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 500; 50 otherwise.
    pub limit: Option<i64>,
}

impl Paging {
    /// Rows of a page.
    pub fn limit(&self) -> i64 {
        self.limit.unwrap_or(50).clamp(1, 500)
    }

    /// One more than a page: tells whether there is another.
    pub fn ask(&self) -> i64 {
        self.limit() + 1
    }

    /// The cursor as a number; `first` for the first page and for a cursor that is not ours.
    pub fn from(&self, first: i64) -> i64 {
        self.cursor.as_deref().and_then(|text| text.parse().ok()).unwrap_or(first)
    }

    /// The rows to skip, where the cursor counts them.
    pub fn offset(&self) -> i64 {
        self.from(0).max(0)
    }

    /// Cuts what was asked with [`Paging::ask`] to a page. The cursor is made from the last row that is given.
    pub fn cut<T>(&self, rows: &mut Vec<T>, cursor: impl Fn(&T) -> String) -> Option<String> {
        let many = self.limit() as usize;
        if rows.len() <= many {
            return None;
        }
        rows.truncate(many);
        rows.last().map(cursor)
    }

    /// The same where the cursor counts rows.
    pub fn cut_counted<T>(&self, rows: &mut Vec<T>) -> Option<String> {
        let next = self.offset() + self.limit();
        self.cut(rows, |_| next.to_string())
    }
}

/// Text that was given: an empty one was not.
pub fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_given_only_where_rows_are_left() {
        let paging = Paging { cursor: None, limit: Some(2) };
        let mut exact = vec![1, 2];
        assert_eq!(paging.cut(&mut exact, i32::to_string), None);
        let mut more = vec![1, 2, 3];
        assert_eq!(paging.cut(&mut more, i32::to_string).as_deref(), Some("2"));
        assert_eq!(more, [1, 2]);
        let second = Paging { cursor: Some("2".to_owned()), limit: Some(2) };
        assert_eq!(second.cut_counted(&mut vec![3, 4, 5]).as_deref(), Some("4"));
    }
}
