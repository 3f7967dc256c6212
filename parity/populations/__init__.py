"""Whole training runs of the original and of the port: samples of one law?"""
