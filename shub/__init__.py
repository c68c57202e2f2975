"""The audio engineer: keeps audio files, measures them to the standard, and mixes stems."""
