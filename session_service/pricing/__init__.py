"""Pricing: tariffs and fares."""
