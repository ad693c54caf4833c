"""Breaking a function on purpose, from outside, to see whether the server keeps its promises."""
