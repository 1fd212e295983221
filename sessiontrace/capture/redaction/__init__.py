"""Secrets masked before anything reaches a disk."""
