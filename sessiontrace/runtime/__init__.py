"""The threads of the SDK and its place in the process: workers, loop, hooks, log, counters."""
