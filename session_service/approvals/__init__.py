"""Approvals: what one operator asked for and another one has to agree to."""
