"""The query language of the search field and the command line: text in, checked terms out.

A query is a list of terms, and a session must fit all of them::

    query  = { term }
    term   = [ "-" ] ( filter | text )
    filter = key [ "." name ] ( ":" | ":" operator | operator ) value { "," value }
    value  = word | "quoted text" | low ".." high
    operator = ">" | ">=" | "<" | "<=" | "="

``fields`` is the table of keys, ``values`` reads numbers, durations and times, and ``parser`` puts
terms together. Pure, no thread owns them. Invariant: every text is a list of terms or a
``QuerySyntaxError`` with a position; stores compile terms and never see the text.
"""
