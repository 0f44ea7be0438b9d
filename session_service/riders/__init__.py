"""Riders: guests with a token and a wallet."""
