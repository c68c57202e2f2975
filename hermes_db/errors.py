"""Refusals that only hermes_db knows."""

from config.errors import FleetError


class TokenKeyUnusable(FleetError):
    """The file with the key that encrypts keys of outside services is missing, broken, or another one; the text names it."""

    code, status, title = "token_key_unusable", 503, "The keys of outside services cannot be read"
