"""madre: the orchestrator. A message becomes an intent, a plan, and a durable run."""
