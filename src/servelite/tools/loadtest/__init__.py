"""Load tests: users that call functions as people would, made by Locust in processes of its own, and what came of it."""
