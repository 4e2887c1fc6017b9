"""Two small language models on this machine, each behind llama.cpp's server. `llmdeal local` starts them."""
