"""Sessions: one rental from Start to receipt."""
