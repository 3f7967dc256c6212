"""Tests of the project's own set-up, and the scripts that its Makefile calls."""
