"""The process of a node: start, supervision, control socket."""
