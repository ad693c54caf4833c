"""Doors: what the outside speaks, one dialect a file; behind each is the same engine."""
