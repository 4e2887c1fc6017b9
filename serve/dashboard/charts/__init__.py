"""Geometry of the dashboard's plots: numbers in, places out. The templates draw them as SVG."""
