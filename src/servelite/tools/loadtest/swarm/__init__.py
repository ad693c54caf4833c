"""Locust's side of a load test: its users, its shapes, its events and its page; Locust has its room here, in processes of its own."""
