"""Sessions assembled from the spans and log records of many requests."""
