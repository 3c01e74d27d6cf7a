"""Figures, video and the page, from json, jsonl and media."""
