"""AWS Lambda on this machine: a function behind AWS' own runtime client, which AWS' Runtime Interface Emulator feeds with events."""
