"""The finished dataset: layouts, Parquet files, card."""
