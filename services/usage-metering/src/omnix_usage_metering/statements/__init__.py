"""What tenants are billed for, month by month."""
