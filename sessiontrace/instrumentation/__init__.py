"""Auto-instrumentation: other libraries' calls become events, without a change to the program.

``hooks`` waits for a library to be imported, ``catalogue`` knows which ones and who installs into
them, ``calls`` is what an instrumentor records with; one file for each library. Invariant: nothing
here imports a library that the program does not import itself.
"""
