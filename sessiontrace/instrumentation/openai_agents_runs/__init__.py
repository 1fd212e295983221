"""What the tracing of OpenAI Agents reports, as a tree of events."""
