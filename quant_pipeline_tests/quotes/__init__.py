"""Tests of the live quotes."""
