"""Clauses about sound as effects with numbers."""
