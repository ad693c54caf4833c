"""The user-code side: load a folder, open its models, run batches, in a process of its own or in this one."""
