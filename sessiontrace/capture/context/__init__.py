"""The current span, carried into threads, executors and other processes."""
