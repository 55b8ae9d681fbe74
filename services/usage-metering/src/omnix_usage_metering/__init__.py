"""The ledger: one entry for every attempt that reached a vendor."""
