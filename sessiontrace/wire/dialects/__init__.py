"""The attributes of each producer of spans, put into the names of the conventions.

One module for each producer, with its table of names. ``translation`` has their order, which is
the one place where precedence is decided.
"""
