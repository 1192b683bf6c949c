"""Durable state machines: deterministic, no I/O. Not here: the steps they call (activities/) or any SQL or XML."""
