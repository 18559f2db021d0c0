"""Regenerate the golden files: ``python -m tests.models.nn.golden.regenerate``, from the root. Needs torch.

PyTorch computes them in double precision on one thread; names and layout are those of ``models.nn``, which is not
imported here. Inputs have few decimals and are stored exactly, results have nine significant digits. No test imports
this module: the files are kept, so that the tests do not need torch.
"""

import json
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent
B, T, F, H, L, O = 3, 5, 4, 6, 2, 2
ROWS = 3

# Block k of the columns here is block ORDER[k] of PyTorch: i, f, o, g instead of i, f, g, o.
ORDER = {"rnn": [0], "rnn-relu": [0], "lstm": [0, 1, 3, 2], "gru": [0, 1, 2]}
LAYERS = {
    "rnn": lambda *sizes: torch.nn.RNN(*sizes, batch_first=True),
    "rnn-relu": lambda *sizes: torch.nn.RNN(*sizes, nonlinearity="relu", batch_first=True),
    "lstm": lambda *sizes: torch.nn.LSTM(*sizes, batch_first=True),
    "gru": lambda *sizes: torch.nn.GRU(*sizes, batch_first=True),
}


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for seed, cell in enumerate(LAYERS):
        write(cell, recurrent(cell, np.random.default_rng(seed)))
    rng = np.random.default_rng(100)
    write("losses", losses(rng))
    write("optimizers", optimizers(rng))
    write("clipping", clipping(rng))
    write("schedules", schedules())


def recurrent(cell, rng):
    n_blocks = len(ORDER[cell])
    params = {}
    for layer, n_in in enumerate([F, H]):
        params[f"layer{layer}.W"] = drawn(rng, 0.5, n_in, n_blocks * H)
        params[f"layer{layer}.U"] = drawn(rng, 0.4, H, n_blocks * H)
        params[f"layer{layer}.b"] = drawn(rng, 0.5, n_blocks * H)
        if cell == "gru":
            params[f"layer{layer}.c"] = drawn(rng, 0.5, n_blocks * H)
    params |= {"head.W": drawn(rng, 0.7, H, O), "head.b": drawn(rng, 0.5, O)}
    n_states = 2 if cell == "lstm" else 1
    given = {
        "params": params,
        "x": drawn(rng, 1.0, B, T, F),
        "state": [[drawn(rng, 0.7, B, H) for _ in range(n_states)] for _ in range(L)],
        "target": {"last": drawn(rng, 1.0, B, O), "every": drawn(rng, 1.0, B, T, O)},
    }
    cases = [
        {"n_layers": n_layers, "output": output} | run(cell, given, n_layers, output)
        for n_layers in (1, 2)
        for output in ("last", "every")
    ]
    return given | {"cases": cases}


def run(cell, given, n_layers, output):
    """Return PyTorch's results for the first ``n_layers`` layers."""
    net = LAYERS[cell](F, H, n_layers)
    head = torch.nn.Linear(H, O)
    tensors = {}
    for layer in range(n_layers):
        for name, torch_name in (("W", "weight_ih"), ("U", "weight_hh"), ("b", "bias_ih"), ("c", "bias_hh")):
            tensors[f"layer{layer}.{name}"] = getattr(net, f"{torch_name}_l{layer}")
    tensors |= {"head.W": head.weight, "head.b": head.bias}
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name in given["params"]:
                tensor.copy_(torch.tensor(reordered(given["params"][name], name, np.argsort(ORDER[cell])).T))
            else:
                tensor.zero_()
    x = torch.tensor(given["x"], requires_grad=True)
    parts = [
        torch.tensor(np.stack([layer[part] for layer in given["state"][:n_layers]]), requires_grad=True)
        for part in range(len(given["state"][0]))
    ]
    h, final = net(x, tuple(parts) if cell == "lstm" else parts[0])
    y = head(h[:, -1] if output == "last" else h)
    loss = torch.nn.functional.mse_loss(y, torch.tensor(given["target"][output]))
    loss.backward()
    final = final if cell == "lstm" else (final,)
    return {
        "y": y,
        "final": [[part[layer] for part in final] for layer in range(n_layers)],
        "loss": loss,
        "grads": {
            name: reordered(tensor.grad.numpy().T, name, ORDER[cell])
            for name, tensor in tensors.items()
            if name in given["params"]
        },
        "d_x": x.grad,
        "d_state": [[part.grad[layer] for part in parts] for layer in range(n_layers)],
    }


def reordered(array, name, order):
    """Return the blocks of H columns in another order."""
    if name.startswith("head"):
        return array
    blocks = np.split(array, len(order), axis=-1)
    return np.concatenate([blocks[k] for k in order], axis=-1)


def losses(rng):
    prediction, numbers = drawn(rng, 1.5, ROWS, T), drawn(rng, 1.5, ROWS, T)
    classes = np.eye(T)[rng.integers(T, size=ROWS)]
    probabilities = np.round(rng.dirichlet(np.ones(T), ROWS), 3)
    probabilities[:, -1] = np.round(1 - probabilities[:, :-1].sum(axis=1), 3)
    nn = torch.nn.functional
    rules = {
        "squared_error": (nn.mse_loss, numbers),
        "absolute_error": (nn.l1_loss, numbers),
        "huber_1": (nn.huber_loss, numbers),
        "huber_0.3": (lambda p, t: nn.huber_loss(p, t, delta=0.3), numbers),
        "cross_entropy_of_classes": (nn.cross_entropy, classes),
        "cross_entropy_of_probabilities": (nn.cross_entropy, probabilities),
    }
    cases = {}
    for name, (rule, target) in rules.items():
        p = torch.tensor(prediction, requires_grad=True)
        value = rule(p, torch.tensor(target))
        value.backward()
        cases[name] = {"target": target, "value": value, "gradient": p.grad}
    return {"prediction": prediction, "cases": cases}


def optimizers(rng):
    initial = drawn(rng, 1.0, 2, 3)
    grads = [drawn(rng, 1.0, 2, 3) for _ in range(3)]
    optim = torch.optim
    rules = {
        "sgd": lambda p: optim.SGD(p, lr=0.1),
        "sgd_momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, alpha=0.9),
        "adam": lambda p: optim.Adam(p, lr=0.01),
        "adam_other_betas": lambda p: optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-3),
        "adamw": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.3),
    }
    cases = {}
    for name, rule in rules.items():
        theta = torch.nn.Parameter(torch.tensor(initial))
        optimizer = rule([theta])
        steps = []
        for gradient in grads:
            theta.grad = torch.tensor(gradient)
            optimizer.step()
            steps.append(theta.detach().clone())
        cases[name] = steps
    return {"initial": initial, "grads": grads, "cases": cases}


def clipping(rng):
    grads = {"a": drawn(rng, 1.0, 2, 3), "b": drawn(rng, 1.0, 4)}
    cases = []
    for max_norm in (0.5, 100.0):
        tensors = [torch.nn.Parameter(torch.zeros(g.shape)) for g in grads.values()]
        for tensor, gradient in zip(tensors, grads.values(), strict=True):
            tensor.grad = torch.tensor(gradient)
        norm = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
        clipped = {name: tensor.grad for name, tensor in zip(grads, tensors, strict=True)}
        cases.append({"max_norm": max_norm, "norm": norm, "clipped": clipped})
    limited = torch.nn.Parameter(torch.zeros(grads["a"].shape))
    limited.grad = torch.tensor(grads["a"])
    torch.nn.utils.clip_grad_value_([limited], 0.6)
    return {"grads": grads, "cases": cases, "limit": 0.6, "limited": limited.grad}


def schedules():
    """Return the learning rates of eleven steps, relative to the first."""
    scheduler = torch.optim.lr_scheduler
    rules = {
        "cosine": lambda o: scheduler.CosineAnnealingLR(o, T_max=10),
        "cosine_to_a_tenth": lambda o: scheduler.CosineAnnealingLR(o, T_max=10, eta_min=0.1),
        "exponential_to_a_hundredth": lambda o: scheduler.ExponentialLR(o, gamma=0.01**0.1),
        "steps": lambda o: scheduler.MultiStepLR(o, milestones=[5, 8], gamma=0.3),
    }
    cases = {}
    for name, rule in rules.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = rule(optimizer)
        cases[name] = [schedule.get_last_lr()[0]]
        for _ in range(10):
            optimizer.step()
            schedule.step()
            cases[name].append(float(schedule.get_last_lr()[0]))
    return cases


def drawn(rng, sigma, *shape):
    """Draw normal numbers of three decimals."""
    return np.round(rng.normal(0, sigma, shape), 3)


def plain(value):
    """Return lists, and numbers of nine significant digits, for JSON."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, torch.Tensor):
        return plain(value.detach().numpy())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return float(f"{value:.9g}") if isinstance(value, float) else value


def write(name, value):
    """Write one file, with a line for each part."""
    lines = ",\n".join(f"{json.dumps(key)}: {parts(part)}" for key, part in plain(value).items())
    (FOLDER / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


def parts(value):
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"  {json.dumps(key)}: {short(part)}" for key, part in value.items()) + "\n}"
    if isinstance(value, list) and isinstance(value[0], dict):
        return "[\n" + ",\n".join(parts(part) for part in value) + "\n]"
    return short(value)


def short(value):
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
