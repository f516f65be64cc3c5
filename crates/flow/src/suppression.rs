//! Addresses that must not be written to. They are kept keyed: the list tells whether an address is on it, not which are.

use model::WorkspaceId;
use store::SuppressionRow;

use crate::Error;
use crate::platform::Platform;

/// Why an address can be put on the list by hand or by a file.
pub const REASONS: [&str; 4] = ["hard_bounce", "complaint", "manual", "import"];

impl Platform {
    /// The address as the list knows it.
    pub(crate) fn address_key(&self, workspace: WorkspaceId, address: &str) -> String {
        let normal = mail::normalise_address(address).unwrap_or_else(|_| address.trim().to_lowercase());
        self.tokens.keyed_hash(&format!("suppression/{workspace}/{normal}"))
    }

    /// Puts an address on the list; from then on the gate lets nothing through to it. The first reason stays.
    ///
    /// # Errors
    /// `Invalid` when it is no address.
    pub async fn suppress(
        &self,
        workspace: WorkspaceId,
        address: &str,
        reason: &str,
    ) -> Result<SuppressionRow, Error> {
        let normal = mail::normalise_address(address)
            .map_err(|error| Error::invalid("invalid_address", "/email", error.to_string()))?;
        let first = normal.chars().next().unwrap_or_default();
        let domain = normal.rsplit_once('@').map_or("", |(_, domain)| domain);
        let row = SuppressionRow {
            address: self.address_key(workspace, &normal),
            hint: format!("{first}…@{domain}"),
            reason: reason.to_owned(),
            at: self.clock.now(),
        };
        self.store.suppress(workspace, std::slice::from_ref(&row)).await?;
        let kept = self.store.suppression(workspace, &row.address).await?;
        Ok(kept.unwrap_or(row))
    }

    /// Takes an address off the list. False when it was not on it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn unsuppress(&self, workspace: WorkspaceId, address: &str) -> Result<bool, Error> {
        Ok(self.store.unsuppress(workspace, &self.address_key(workspace, address)).await?)
    }

    /// Why an address is on the list, if it is.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn suppression(
        &self,
        workspace: WorkspaceId,
        address: &str,
    ) -> Result<Option<SuppressionRow>, Error> {
        Ok(self.store.suppression(workspace, &self.address_key(workspace, address)).await?)
    }
}
