"""The directory that ``sessiontrace run`` puts on PYTHONPATH; only its ``sitecustomize`` counts."""
