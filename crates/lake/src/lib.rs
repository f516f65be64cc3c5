//! Events as columns: archived exactly once by log position, scanned for history, queried by SQL.
//!
//! Files are Parquet, partitioned by workspace and day of arrival; the newest numbered manifest says which of them
//! count. What is not yet in a file is held in memory and seen by every scan and query.

mod archive;
mod columns;
mod condition;
mod error;
mod files;
mod guard;
mod owners;
mod person;
mod query;
mod scan;
mod udf;

pub use archive::{Lake, Row};
pub use error::Error;
pub use owners::Moved;
pub use query::{Answer, Column, ColumnType, QueryLimits, Table, events_columns, table_names_in};
pub use scan::{ScanRow, parquet_columns, read_parquet};
