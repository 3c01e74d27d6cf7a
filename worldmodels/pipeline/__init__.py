"""Stages and rounds, from exploration to score."""
