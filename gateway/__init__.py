"""The only door of the fleet: checks tokens, limits, forwards to the modules, adds up their health."""
