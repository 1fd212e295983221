"""What Google ADK's own spans lack: the content of agents, tools and model calls."""
