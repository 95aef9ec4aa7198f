"""The exchange: its securities, sessions, events and bars, and what they look like to a data service. Knows no protocol."""
