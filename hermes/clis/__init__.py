"""Command-line tools: which ones are worth knowing, which are here, and in which version."""
