"""Views of the fleet that operators have kept for themselves, so that they are there on the phone too."""
