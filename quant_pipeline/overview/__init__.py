"""A day of the market at a glance: what it was, out of what is stored, and what of it is not stored."""
