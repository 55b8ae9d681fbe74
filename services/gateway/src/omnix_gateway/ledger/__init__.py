"""The ledger beyond one page: files, and what tenants pay."""
