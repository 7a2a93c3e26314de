"""PostgreSQL as the dispatcher uses it; Django looks for `base.DatabaseWrapper` here."""
