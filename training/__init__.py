"""Offline work: read graded requests, fit the quality model, check the export and measure it.

`serve` never imports this package.
"""
