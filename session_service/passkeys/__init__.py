"""Passkeys: how a guest keeps the account without telling anything of the person (WebAuthn Level 3)."""
