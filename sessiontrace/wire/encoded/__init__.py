"""Work on encoded bytes for every record sent; each has a Python and a compiled form."""
