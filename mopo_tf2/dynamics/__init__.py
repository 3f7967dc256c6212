"""The learned dynamics model, its training, and rollouts inside it."""
