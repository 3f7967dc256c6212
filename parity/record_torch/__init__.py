"""Records what the authors' code of BCQ and MOReL computes, under PyTorch on the CPU."""
