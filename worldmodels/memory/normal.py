"""The normal quantile function in additions, products, one logarithm and one root.

ONNX has no inverse error function, and compilers turn PyTorch's into a call for each number. This one becomes vector
instructions, and the page that dreams in a browser has the same (`js/local/noise.js`).

M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution" (1988), the variant PPND7 with a
relative error of 1e-7. Its third branch, for quantiles beyond 6.6 sigma, is left out: single precision has no such
probability on this side of 1, and on that of 0 nothing here draws one.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Numerators and denominators by rising power.
NEAR = (
    (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
    (1.0, 17.895169469, 78.757757664, 67.187563600),
)
FAR = (
    (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
    (1.0, 0.73700164250, 0.12021132975),
)


def normal_quantile(probability: Tensor) -> Tensor:
    """The number below which a standard normal variable lies with that probability, in [1e-11, 1 - 2**-24]."""
    q = probability - 0.5
    near = q * _ratio(NEAR, 0.180625 - q.square())
    tail = torch.minimum(probability, 1 - probability)
    far = _ratio(FAR, torch.sqrt(-torch.log(tail)) - 1.6)
    return torch.where(q.abs() <= 0.425, near, torch.where(q < 0, -far, far))


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], at: Tensor) -> Tensor:
    above, below = (_polynomial(coefficients, at) for coefficients in polynomials)
    return above / below


def _polynomial(coefficients: tuple[float, ...], at: Tensor) -> Tensor:
    value = at * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        value = value * at + coefficient
    return value
