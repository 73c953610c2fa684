"""More evaluation scripts: regions, segments, typed texts, comparisons, costs; and the report page."""
