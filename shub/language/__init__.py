"""Commands to the audio engineer, in Spanish or English, read as actions with units. Rules and tables; no model is needed."""
