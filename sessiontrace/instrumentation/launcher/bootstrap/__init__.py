"""The directory that ``sessiontrace run`` puts on PYTHONPATH, for its ``sitecustomize``."""
