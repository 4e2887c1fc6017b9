"""The evaluation as something to look at: pictures, a page, tables for the terminal."""
