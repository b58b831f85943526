"""Sums of a table that each node has, loaded once."""
