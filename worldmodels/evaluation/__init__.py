"""Scores: the protocol, the gap between dream and actual."""
