"""Switch: one OpenAI-compatible door over the local light model and every configured provider."""
