"""Recovery: what a process left in its spool, found, read and delivered by another process."""
