"""What tenants pay: rules, credits, and rating the ledger again."""
