"""Stored sessions for coding agents over the Model Context Protocol; needs the extra ``mcp``."""
