"""Runs of Claude's agent, from the messages that its command line sends."""
