"""Step times learnt on line: recursive least squares with forgetting, as a value (FairBatching, section on batch time).

The model ``t = a + b * new + c * context`` is fitted off line for a model and a device, then follows what is measured.
The coefficients are estimated relative to that prior, ``a = a0 * (1 + x)`` and so on: the regressors are then seconds,
of one size, where tokens and contexts differ by powers of ten.
"""

from __future__ import annotations

from typing import Final

import attrs

from mtpo.schedulers.types import StepMeasured, StepModel

_Vector = tuple[float, float, float]
_Matrix = tuple[_Vector, _Vector, _Vector]

_LEAST: Final = 0.01
"""A coefficient is never taken for less than this share of its prior: a negative one would order work without end."""
_WIDEST: Final = 1e6
"""Of the covariance's trace, relative to its prior's: steps that tell nothing new would let forgetting blow it up."""


@attrs.frozen
class Calibrator:
    """``prior``: the coefficients to begin with, b positive. ``forgetting``: what the weight of a measurement is
    multiplied by with each later one, 0 < it <= 1; 1 forgets nothing. ``doubt``: the prior's standard deviation
    relative to the coefficients. ``noise``: standard deviation of a step's time, in seconds. ``x`` and ``covariance``
    are the state."""

    prior: StepModel = attrs.field()
    forgetting: float = attrs.field(default=0.995, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    doubt: float = attrs.field(default=0.5, validator=attrs.validators.gt(0.0))
    noise: float = attrs.field(default=1e-3, validator=attrs.validators.gt(0.0))
    x: _Vector = (0.0, 0.0, 0.0)
    covariance: _Matrix = attrs.field()

    @prior.validator
    def _prior(self, _: object, value: StepModel) -> None:
        if value.b <= 0:
            raise ValueError("the prior of a step's time per token, b, must be positive")

    @covariance.default
    def _covariance(self) -> _Matrix:
        v = (self.doubt / self.noise) ** 2
        return (v, 0.0, 0.0), (0.0, v, 0.0), (0.0, 0.0, v)

    @property
    def model(self) -> StepModel:
        """The coefficients as estimated so far, none of them negative; the floor is the prior's."""
        prior, (x, y, z) = self.prior, self.x
        return StepModel(
            prior.a * max(_LEAST, 1 + x), prior.b * max(_LEAST, 1 + y), prior.c * max(_LEAST, 1 + z), prior.floor
        )

    def learn(self, measured: StepMeasured) -> Calibrator:
        """After one more measurement. A step at the floor says nothing about the coefficients, and is left out."""
        prior = self.prior
        if measured.new < 1 or measured.seconds <= prior.floor:
            return self
        f = (prior.a, prior.b * measured.new, prior.c * measured.context)
        gain = _times(self.covariance, f)
        scale = self.forgetting + _dot(f, gain)
        error = measured.seconds - sum(f) - _dot(f, self.x)
        x = (
            self.x[0] + gain[0] / scale * error,
            self.x[1] + gain[1] / scale * error,
            self.x[2] + gain[2] / scale * error,
        )
        shrunk = 1.0 / self.forgetting
        trace = sum(self.covariance[i][i] - gain[i] * gain[i] / scale for i in range(3)) * shrunk
        widest = _WIDEST * 3 * (self.doubt / self.noise) ** 2
        if trace > widest:
            shrunk *= widest / trace

        def row(i: int) -> _Vector:
            old = self.covariance[i]
            a, b, c = (shrunk * (old[j] - gain[i] * gain[j] / scale) for j in range(3))
            return a, b, c

        return attrs.evolve(self, x=x, covariance=(row(0), row(1), row(2)))


def _dot(u: _Vector, v: _Vector) -> float:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def _times(m: _Matrix, v: _Vector) -> _Vector:
    return _dot(m[0], v), _dot(m[1], v), _dot(m[2], v)
