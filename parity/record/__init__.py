"""The recorder: what the TF1 program computes, case by case, as ``.npz`` files.

Runs under Python 3.7 and TensorFlow 1.14 (``environment-tf1.yml``) beside a checkout of the
original, and never imports the port. A case holds its own inputs, parameters and outputs, so that
the parity suite replays it without TF1. ``parity/README.md`` says how to record a set.

- ``python -m parity.record OUT``: every case (``__main__``, with ``settings`` and ``registry``);
  one module a group of cases.
- ``python -m parity.record.collect_random``: the datasets that the cases read.
- ``python -m parity.record.run_sac``, ``run_original``: a replay-pool dataset and a learning curve.
- ``python -m parity.record.index_original``: the list of the original's definitions.
"""
