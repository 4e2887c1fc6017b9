"""The running process: the server, its workers, logging and the start screen."""
