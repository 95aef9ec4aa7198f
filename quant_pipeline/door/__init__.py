"""The HTTP door: pages for people, on the loopback, read-only. Every route is thin: it shows what the rooms below say."""
