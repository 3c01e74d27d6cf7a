"""The inverse error function, which PyTorch has and ONNX has not, written in ONNX's operators.

M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution" (1988), the variant PPND7 with
a relative error of 1e-7. Its third branch, for quantiles beyond 5 sigma, is left out: M's noise ends at 4.75.
`js/local/noise.js` has the same coefficients.
"""

from __future__ import annotations

import math
from typing import Any

# Numerators and denominators by rising power. They give the normal quantile, which is sqrt(2) erfinv.
NEAR = (
    (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
    (1.0, 17.895169469, 78.757757664, 67.187563600),
)
FAR = (
    (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
    (1.0, 0.73700164250, 0.12021132975),
)


def onnx_erfinv(x: Any) -> Any:
    """erfinv(x) for -1 < x < 1, with a relative error below 4e-7 in float32; for the ONNX exporter."""
    from onnxscript import opset20

    op: Any = opset20  # its annotations are narrower than what it takes

    def number(value: float) -> Any:
        return op.Constant(value_float=value)

    def polynomial(coefficients: tuple[float, ...], at: Any) -> Any:
        value = number(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = op.Add(op.Mul(value, at), number(coefficient))
        return value

    def ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], at: Any) -> Any:
        above, below = polynomials
        return op.Div(polynomial(above, at), polynomial(below, at))

    q = op.Mul(x, number(0.5))  # the probability - 1/2
    distance = op.Abs(q)
    near = op.Mul(q, ratio(NEAR, op.Sub(number(0.180625), op.Mul(q, q))))
    tail = op.Sub(number(0.5), distance)
    root = op.Sqrt(op.Neg(op.Log(tail)))
    far = op.Mul(op.Sign(q), ratio(FAR, op.Sub(root, number(1.6))))
    return op.Mul(op.Where(op.LessOrEqual(distance, number(0.425)), near, far), number(math.sqrt(0.5)))
