"""hermes_db: the registry of models, command-line tools, specialties and usage."""
