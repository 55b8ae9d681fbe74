"""Document collections in SQLite (embedded) or MongoDB, behind one port."""
