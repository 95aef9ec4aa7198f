"""Tests of the feed of live quotes."""
