"""What is done to functions rather than with them: checking, installing, breaking on purpose."""
