"""What agents, functions, orchestrations and searches of Semantic Kernel are as events."""
