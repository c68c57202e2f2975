"""Audio mode: requests about sound are read, and answered, as such."""
