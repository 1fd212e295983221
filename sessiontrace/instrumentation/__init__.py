"""Auto-instrumentation: the calls of other libraries become events, without changing the program.

``registry`` lists the libraries and reports their state, ``import_hooks`` waits for their imports.
``libraries`` and ``web`` have one instrumentor per library, built from ``core``; ``openai_family``
has what several of them share. ``launcher`` is ``sessiontrace run``. Invariant: nothing here
imports a library that the program does not import itself.
"""
