"""The demand network: what a prompt asks for, in numbers that beliefs about all models are linear in."""
