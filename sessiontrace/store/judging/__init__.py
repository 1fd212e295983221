"""Judgements of sessions and steps: scores, labels, comments, review marks, and their history."""
