"""What is logged of each attempt: the recorder, the writer thread, the rows and their erasure."""
