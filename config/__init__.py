"""The shared ground of the fleet: settings, database, contracts, clients, errors, auth, audit. Imports no service."""
