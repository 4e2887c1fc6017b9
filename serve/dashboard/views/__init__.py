"""Pure: rows in, what a page shows out."""
