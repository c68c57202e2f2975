"""The models of this machine: their processes, who waits for them, which of them are in memory."""
