"""Three echoes, one after the other."""

from servelite import sequence

pipeline = sequence("echo", "echo_again", "echo_once_more")
