"""Exports the telemetry to Parquet files, appends to them and purges them."""
