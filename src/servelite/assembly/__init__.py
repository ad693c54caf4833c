"""The fuse box: the one place where parts are chosen and wired."""
