"""The networks written plainly: one sequence, one step, one unit and one number at a time.

Nothing is shared with ``models.nn``: each function follows the equations in the docstring of a cell. Matrices are lists
of rows, vectors are lists of numbers.
"""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def dot(v, M, column):
    """Return one element of the row vector v M."""
    total = 0.0
    for row, number in enumerate(v):
        total += number * M[row][column]
    return total


def rnn(activation):
    def step(p, x, state):
        (h,) = state
        return ([activation(dot(x, p["W"], j) + dot(h, p["U"], j) + p["b"][j]) for j in range(len(h))],)

    return step


def lstm(p, x, state):
    h, c = state
    H = len(h)

    def a(column):
        return dot(x, p["W"], column) + dot(h, p["U"], column) + p["b"][column]

    new_h, new_c = [], []
    for j in range(H):
        i = sigmoid(a(j))
        f = sigmoid(a(H + j))
        o = sigmoid(a(2 * H + j))
        g = math.tanh(a(3 * H + j))
        new_c.append(f * c[j] + i * g)
        new_h.append(o * math.tanh(new_c[j]))
    return new_h, new_c


def gru(p, x, state):
    (h,) = state
    H = len(h)

    def of_x(column):
        return dot(x, p["W"], column) + p["b"][column]

    def of_h(column):
        return dot(h, p["U"], column) + p["c"][column]

    new_h = []
    for j in range(H):
        r = sigmoid(of_x(j) + of_h(j))
        z = sigmoid(of_x(H + j) + of_h(H + j))
        n = math.tanh(of_x(2 * H + j) + r * of_h(2 * H + j))
        new_h.append((1 - z) * n + z * h[j])
    return (new_h,)


def gru_reset_before(p, x, state):
    (h,) = state
    H = len(h)

    def a(column, h):
        return dot(x, p["W"], column) + dot(h, p["U"], column) + p["b"][column]

    reset_h = [sigmoid(a(j, h)) * h[j] for j in range(H)]
    new_h = []
    for j in range(H):
        z = sigmoid(a(H + j, h))
        n = math.tanh(a(2 * H + j, reset_h))
        new_h.append((1 - z) * n + z * h[j])
    return (new_h,)


STEPS = {
    "rnn": rnn(math.tanh),
    "rnn-relu": rnn(lambda a: max(a, 0.0)),
    "rnn-sigmoid": rnn(sigmoid),
    "rnn-identity": rnn(lambda a: a),
    "lstm": lstm,
    "gru": gru,
    "gru-reset-before": gru_reset_before,
}


def forward(network, params, x, state):
    """Return what ``network.forward`` returns first and second, as nested lists.

    ``x`` is (B, T, F), ``state`` has for each layer a tuple of arrays (B, H).
    """
    step = STEPS[network.cell_name]
    layers = [
        {name: params[f"layer{layer}.{name}"].tolist() for name in "WUbc" if f"layer{layer}.{name}" in params}
        for layer in range(network.n_layers)
    ]
    head_W, head_b = params["head.W"].tolist(), params["head.b"].tolist()
    y = []
    final = [tuple([] for _ in arrays) for arrays in state]
    for row, sequence in enumerate(x.tolist()):
        states = [tuple(array[row].tolist() for array in arrays) for arrays in state]
        outputs = []
        for features in sequence:
            h = features
            for layer, p in enumerate(layers):
                states[layer] = step(p, h, states[layer])
                h = states[layer][0]
            outputs.append([dot(h, head_W, k) + head_b[k] for k in range(len(head_b))])
        y.append(outputs if network.output == "every" else outputs[-1])
        for layer, arrays in enumerate(states):
            for part, vector in enumerate(arrays):
                final[layer][part].append(vector)
    return y, final
