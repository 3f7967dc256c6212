"""The interface of all policies: acting on the host, and export to files."""

import abc
import functools
from collections.abc import Callable
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.networks.graph import Graph, Value
from mopo_tf2.types import FloatArray, PolicyFn


class ExportablePolicy(abc.ABC):
    """A policy that acts on the host and can be written to a file and read back.

    Attributes:
        kind: names the class in exported files.
        obs_dim: O.
        act_dim: A.
    """

    kind: ClassVar[str]
    obs_dim: int
    act_dim: int

    @abc.abstractmethod
    def _exported_variables(self) -> dict[str, keras.Variable]:
        """Return the variables by their names in exported files."""

    @abc.abstractmethod
    def _metadata(self) -> dict[str, Any]:
        """Return the arguments of ``_from_metadata``, with ``obs_dim`` and ``act_dim``."""

    @classmethod
    @abc.abstractmethod
    def _from_metadata(cls, metadata: dict[str, Any]) -> Self:
        """Build a policy of the sizes in ``metadata``, with initial weights."""

    def exported(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the content of an exported file: weights by name, and metadata.

        Original: mopo/algorithms/mopo.py:MOPO._log_policy
        """
        arrays = {name: variable.numpy() for name, variable in self._exported_variables().items()}
        return arrays, self._metadata()

    @classmethod
    def from_exported(cls, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Return the policy that ``exported`` described, from files of older versions too.

        Raises:
            KeyError: if an array or an entry is missing.
            ValueError: if an array has another shape.
        """
        policy = cls._from_metadata(metadata)
        for name, variable in policy._exported_variables().items():
            shape = tuple(variable.shape)
            if arrays[name].shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, got {arrays[name].shape}.")
            variable.assign(arrays[name])
        return policy

    @abc.abstractmethod
    def acting(self, rows: int, seed: int = 0) -> PolicyFn:
        """Return the policy as evaluation runs it: a host function [B, O] -> [B, A] in [-1, 1].

        It uses the weights of the moment when it is called.

        Args:
            rows: compiled batch size; more rows are evaluated in chunks, fewer are padded. The
                fixed shape makes a row's action independent of the other rows, to the last bit.
            seed: of the policy's random draws; a deterministic policy ignores it.

        Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.actions_np
        """

    @property
    def latent_shape(self) -> tuple[int | None, int]:
        """Shape of the standard normal latents of a stochastic action; None: one for each row."""
        return (None, self.act_dim)

    def acting_latents(self, rows: int, seed: int) -> FloatArray:
        """Return the latents with which a stochastic policy acts as ``acting``'s first call."""
        return np.zeros((rows, self.act_dim), np.float32)

    def graph(self, *, stochastic: bool, seed: int = 0) -> tuple[Graph, Value]:
        """Return what ``acting`` computes as steps, and the name of the actions in [-1, 1].

        Args:
            stochastic: take ``latents`` of ``latent_shape`` as an input beside ``observations``
                [B, O].
            seed: otherwise the policy keeps ``acting_latents`` of this seed, if it samples.
        """
        inputs: dict[str, tuple[int | None, ...]] = {"observations": (None, self.obs_dim)}
        if stochastic:
            inputs["latents"] = self.latent_shape
        graph = Graph(inputs)
        return graph, self._describe(graph, "latents" if stochastic else None, seed)

    @abc.abstractmethod
    def _describe(self, graph: Graph, latents: str | None, seed: int) -> Value:
        """Add the policy to ``graph``; return its actions; see ``graph``."""

    @functools.cached_property
    def _compiled(self) -> dict[int, Callable[..., tf.Tensor]]:
        return {}

    def _on_host(
        self, actions: Callable[..., tf.Tensor], rows: int, *shared: tf.TensorSpec
    ) -> Callable[..., FloatArray]:
        """Return ``actions`` as a host function, compiled once per number of rows.

        Args:
            actions: observations [B, O] float32 and tensors that all rows share -> [B, A].
            rows: see ``acting``.
            shared: shapes of the tensors that all rows share.
        """
        if rows not in self._compiled:
            # Called a thousand times per epoch with few rows: a concrete function skips the checks
            # of argument types, which halves the cost of a call.
            self._compiled[rows] = tf.function(actions, jit_compile=True).get_concrete_function(
                tf.TensorSpec([rows, self.obs_dim], tf.float32), *shared
            )
        compiled = self._compiled[rows]

        def act(observations: FloatArray, *others: tf.Tensor) -> FloatArray:
            inputs = observations.astype(np.float32)
            if len(inputs) == rows:
                whole: FloatArray = compiled(tf.constant(inputs), *others).numpy()
                return whole
            return map_in_chunks(
                lambda chunk: [compiled(tf.constant(chunk), *others)], [inputs], rows
            )[0]

        return act
