"""Command-line tools that answer prompts."""
