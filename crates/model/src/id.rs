//! Typed identifiers. Sequential integers inside; what callers name things by are `Identifier`s.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

integer_id!(
    /// A workspace: the boundary no byte crosses.
    WorkspaceId, i64
);
integer_id!(
    /// A profile within its workspace: dense, sequential from 1, never reused.
    ProfileId, i64
);
integer_id!(
    /// The place of an event in the log: sequential from 1 across all workspaces, without gaps.
    Position, i64
);

/// The kinds of identifier a profile can be known by, highest priority first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum IdentifierKind {
    /// The customer's own id for a known person.
    UserId = 1,
    /// An e-mail address, normalised (trimmed, lower case).
    Email = 2,
    /// A telephone number in E.164.
    Phone = 3,
    /// Another system's id, as `type:value`.
    External = 4,
    /// A browser's or device's id from before the person was known.
    AnonymousId = 5,
}

impl IdentifierKind {
    /// All kinds, highest priority first.
    pub const ALL: [IdentifierKind; 5] =
        [Self::UserId, Self::Email, Self::Phone, Self::External, Self::AnonymousId];

    /// The name in JSON and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::External => "external",
            Self::AnonymousId => "anonymous_id",
        }
    }

    /// The kind with this stored number.
    pub fn from_number(number: u8) -> Option<IdentifierKind> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}
