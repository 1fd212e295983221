"""``sessiontrace run``: instrumenting a program from outside."""
