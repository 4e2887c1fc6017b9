"""Two small real language models on this machine, behind llama.cpp's own server: what `llmdeal local` starts."""
