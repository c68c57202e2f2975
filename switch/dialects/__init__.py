"""APIs that are not OpenAI's, spoken as if they were."""
