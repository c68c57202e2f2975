"""Whom switch can ask over a network: the catalogue, keys, servers found on this machine."""
