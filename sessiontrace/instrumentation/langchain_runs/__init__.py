"""The runs of LangChain and LangGraph: their callbacks, and the form of their messages."""
