"""The local destination: the embedded store, written by the keeper."""
