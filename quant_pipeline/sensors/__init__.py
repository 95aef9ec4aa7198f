"""What is watched: runs that die, messages that wait, bars that arrive."""
