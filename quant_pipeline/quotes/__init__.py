"""Live quotes: one poller for all processes asks for the codes that somebody wants, and keeps the last good snapshot."""
