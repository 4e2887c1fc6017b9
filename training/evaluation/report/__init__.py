"""Shows an evaluation: pictures, a page, and tables for the terminal."""
