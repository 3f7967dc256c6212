"""Does the port compute what the TF1 program computed?"""
