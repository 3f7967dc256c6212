"""Measure the phases in turn, and say what came out."""

from collections.abc import Callable
from typing import Any

from mopo_tf2.algorithms.mopo import MOPO

from . import PHASES, machine, million_rows, training
from .training import EpochTimes, Rate

_EPOCH_PHASES = frozenset({"sac", "rollout", "evaluation", "epoch"})
_UNITS = {"sac": "updates/s", "ensemble": "steps/s", "rollout": "states/s"}


def measure_phases(phases: set[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Measure ``phases`` and return the numbers, JSON-safe.

    Args:
        phases: names of ``benchmarks.PHASES``.
        say: told what is being measured.

    Returns:
        ``machine``, ``matmul_gflops``, ``matmul_gflops_range``, ``peak_rss_gib`` of this process,
        and ``phases``: per phase its ``rate`` a second with the ``fraction`` of the matrix
        product (of raw stepping for evaluation), or its ``seconds``.
    """
    say("measuring the matrix product")
    product = machine.MatrixProduct()
    product.measure()
    compute: dict[str, Rate] = {}
    results: dict[str, dict[str, float]] = {}
    mopo = training.make_mopo(training.shipped_transitions())
    if "ensemble" in phases:
        say("measuring ensemble training")
        compute["ensemble"] = training.measure_ensemble(mopo)
        product.measure()
    if phases & _EPOCH_PHASES:
        say("measuring policy epochs")
        times = training.measure_epochs(mopo)
        product.measure()
        compute.update(sac=times.sac, rollout=times.rollout)
        results.update(_other_results(mopo, times, phases))
    peak = machine.peak_rss_gib()
    if "load" in phases:
        say("measuring a million rows")
        results["load"] = million_rows.measure()
        product.measure()
    for name, rate in compute.items():
        results[name] = {"rate": rate.rate, "fraction": rate.fraction(product.gflops)}
    return {
        "machine": machine.describe(),
        "matmul_gflops": product.gflops,
        "matmul_gflops_range": product.spread,
        "peak_rss_gib": peak,
        "phases": {name: results[name] for name in PHASES if name in phases},
    }


def _other_results(mopo: MOPO, times: EpochTimes, phases: set[str]) -> dict[str, dict[str, float]]:
    results = {"epoch": {"seconds": times.seconds}}
    if "evaluation" in phases:
        raw = training.raw_stepping_rate(mopo)
        results["evaluation"] = {
            "rate": times.evaluation_rate,
            "fraction_of_raw": times.evaluation_rate / raw,
        }
    return results


def lines(report: dict[str, Any]) -> list[str]:
    """Return ``report`` as a table for people."""
    about, gflops = report["machine"], report["matmul_gflops"]
    slowest, fastest = report["matmul_gflops_range"]
    text = [
        "",
        f"{about['processor']}, {about['usable_cores']} of {about['cores']} cores, "
        f"{about['gpus']} GPUs, Python {about['python']}, TensorFlow {about['tensorflow']}",
        f"matrix product 2048^3 float32: {gflops:.0f} GFLOP/s ({slowest:.0f} to {fastest:.0f})",
        f"peak memory of this process: {report['peak_rss_gib']:.2f} GiB",
        "",
    ]
    for name, result in report["phases"].items():
        text.append(f"{name:<11} {_in_words(name, result, gflops)}")
    return text


def _in_words(name: str, result: dict[str, float], gflops: float) -> str:
    if name in _UNITS:
        return (
            f"{result['rate']:>10,.0f} {_UNITS[name]:<10} {result['fraction'] * gflops:>6.0f} "
            f"GFLOP/s   {result['fraction']:.2f} of the matrix product"
        )
    if name == "evaluation":
        return (
            f"{result['rate']:>10,.0f} steps/s    {result['fraction_of_raw']:.2f} of raw stepping"
        )
    if name == "epoch":
        scaled = result["seconds"] * gflops / 300
        return f"{result['seconds']:>10.2f} s          {scaled:.2f} s scaled to 300 GFLOP/s"
    return f"{result['seconds']:>10.2f} s          peak memory {result['peak_rss_gib']:.2f} GiB"
