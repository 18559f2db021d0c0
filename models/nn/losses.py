"""What training makes small: each loss returns its value and its gradient."""

from models.nn.types import Array


def squared_error(prediction: Array, target: Array) -> tuple[float, Array]:
    """Mean squared error over every element, and its gradient with respect to ``prediction``.

    Parameters
    ----------
    prediction, target : of one shape

    Returns
    -------
    value : mean of (prediction - target)^2
    gradient : 2 (prediction - target) / size, of the shape of ``prediction``
    """
    difference = prediction - target
    return float((difference * difference).mean()), difference * (2.0 / difference.size)
