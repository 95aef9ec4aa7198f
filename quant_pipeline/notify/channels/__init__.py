"""The ways to a person's phone and desk: one file each, one contract (contract.py)."""
