"""``sessiontrace run``: a program instrumented from outside."""
