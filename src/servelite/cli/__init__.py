"""The command line: parse, delegate, print; one file a command group."""
