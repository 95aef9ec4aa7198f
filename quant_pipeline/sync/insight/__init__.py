"""What the platform tells of itself: queries over the ledger, the calls and the tables."""
