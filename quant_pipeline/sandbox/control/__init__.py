"""What a rehearsal orders and reads: faults, quotas, the log of calls, and the endpoints that take the orders."""
