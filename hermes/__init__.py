"""hermes: finds, fetches and verifies models, keeps house, and knows the command-line tools of this box."""
