"""Presence: whether a rider stands where the thing is, and whether a label is where it should be."""
