"""One narrow row for each session that has settled, so that filters and figures read no step."""
