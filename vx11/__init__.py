"""The command line: start the fleet, keep it running, and talk to it."""
